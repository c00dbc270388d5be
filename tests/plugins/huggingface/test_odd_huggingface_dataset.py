"""``hf:ORG/REPO`` of a dataset that lacks labels or parts, points elsewhere, or is damaged."""

from __future__ import annotations

import pytest

from mritk import (
    DataError,
    Unavailable,
    UsageError,
)
from tests.plugins.huggingface.conftest import NAME
from tests.plugins.huggingface.test_huggingface_dataset import FOLDERS, parquet, pixels, png

datasets = pytest.importorskip("datasets")


def test_a_part_whose_labels_are_secret_is_left_out_with_a_warning(put, open_, caplog) -> None:
    label = {"label": datasets.ClassLabel(names=["a", "b"])}
    image = [{"bytes": png(pixels(n)), "path": None} for n in range(2)]
    secret = parquet(image=image, label=[-1, -1], features=label)
    put(
        {
            "train.parquet": parquet(image=image, label=[0, 1], features=label),
            "test.parquet": secret,
        }
    )

    assert len(open_()) == 2
    assert "no labels in test, which is ignored" in caplog.text


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (",image=scan", "no column 'scan'; its columns are image, label, who: .*,image=COLUMN"),
        (",image=label", "not encoded images"),
        (",label=grade", "no column 'grade'; its columns are image, label, who: .*,label=COLUMN"),
        (",label=image", "neither one class nor one number"),
        (",patient=person", "no patient column 'person'"),
        (",patient=who", "has no patient in 1 of 2 rows, such as row 1"),
    ],
)
def test_a_column_that_is_not_there_is_answered_with_those_that_are(
    options: str, text: str, put, open_
) -> None:
    image = [{"bytes": png(pixels(n)), "path": None} for n in range(2)]
    put({"train.parquet": parquet(image=image, label=["a", "b"], who=["p1", ""])})

    with pytest.raises(DataError, match=text):
        open_(options)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["nan", "None", " ", "N/A"])
def test_a_missing_label_or_patient_is_none(text: str, put, open_) -> None:
    image = [png(pixels(n, 8, 8)) for n in range(3)]
    labels = {"label": ["a", text, "b"], "kind": ["a", "b", "b"]}
    put({"train.parquet": parquet(image=image, who=["p", "q", text], **labels)})
    with pytest.raises(DataError, match="no label in 1 of 3 rows, such as row 1"):
        open_()
    with pytest.raises(DataError, match="has no patient in 1 of 3 rows, such as row 2"):
        open_(",label=kind,patient=who")


def test_patients_that_are_named_classes_have_their_names(put, open_) -> None:
    put({"train.parquet": of_named_patients(0, 0, 1, 1)})
    assert list(open_(",patient=who").patients) == ["sub-07", "sub-07", "sub-03", "sub-03"]


def test_a_patient_that_is_no_named_class_is_none(put, open_) -> None:
    put({"train.parquet": of_named_patients(0, -1, 1, -1)})
    with pytest.raises(DataError, match="has no patient in 2 of 4 rows, such as row 1"):
        open_(",patient=who")


def of_named_patients(*codes: int) -> bytes:
    image = [png(pixels(n, 8, 8)) for n in range(4)]
    who = {"who": datasets.ClassLabel(names=["sub-07", "sub-03"])}
    return parquet(image=image, label=["a", "b"] * 2, who=list(codes), features=who)


def test_a_column_of_lists_names_no_patient(put, open_) -> None:
    image = [png(pixels(n, 8, 8)) for n in range(4)]
    put({"train.parquet": parquet(image=image, label=["a", "b"] * 2, who=[["p"], ["q"], [], []])})
    with pytest.raises(DataError, match=r"column who contains List.* not one patient per row"):
        open_(",patient=who")


def test_an_unknown_option_is_answered_with_the_known_ones(put, registry) -> None:
    with pytest.raises(UsageError, match=r"did you mean patient[?]"):
        registry.dataset(f"hf:{NAME},patint=x")


@pytest.mark.parametrize("path", ["/etc/hostname", "../../secret.png", "https://example.org/x.png"])
def test_paths_that_leave_the_repository_are_refused(path: str, put, open_) -> None:
    images = [{"bytes": png(pixels(0)), "path": None}, {"bytes": None, "path": path}]
    put({"train.parquet": parquet(image=images, label=["a", "b"])})

    with pytest.raises(DataError, match="not a file of the repository"):
        open_()


def test_metadata_that_point_out_of_the_repository_are_refused(put, open_) -> None:
    text = "file_name,label\na.png,x\n../../../../../etc/hostname,y\n"
    put({"train/a.png": png(pixels(0)), "train/metadata.csv": text.encode()})

    with pytest.raises(DataError):
        open_()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("test", "cause"),
    [
        ({"who": ["forty-two", "43"]}, "forty-two"),
        ({"who": [1, 2], "age": [60, 61]}, "they differ in their columns: .*1 new .*age"),
    ],
)
def test_parts_that_do_not_fit_together_say_why(test: dict, cause: str, put, open_) -> None:
    both = {"image": [png(pixels(n, 8, 8)) for n in range(2)], "label": ["a", "b"]}
    put({"train.parquet": parquet(**both, who=[1, 2]), "test.parquet": parquet(**both, **test)})
    with pytest.raises(DataError, match=f"{NAME}: the library datasets cannot read .*{cause}"):
        open_()


@pytest.mark.slow
def test_splits_of_other_names_are_no_official_parts(put, open_) -> None:
    image = [{"bytes": png(pixels(n)), "path": None} for n in range(2)]
    card = (
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        "  - {split: train, path: a.parquet}\n  - {split: siemens, path: b.parquet}\n---\n"
    )
    file = parquet(image=image, label=["a", "b"])
    put({"README.md": card.encode(), "a.parquet": file, "b.parquet": file})

    with pytest.raises(DataError, match=r"not siemens"):
        open_()


@pytest.mark.slow
def test_scripts_and_archives_are_never_fetched(hub, put, open_, tmp_path) -> None:
    ran = tmp_path / "ran"
    script = f"open({str(ran)!r}, 'w')".encode()
    others = {"train/metadata.csv.py": script, "more.zip": b"PK", "labels.csv": b"a,b\n1,2\n"}
    put(FOLDERS | {"README.md": b"# Knees", "knees.py": script} | others)

    assert len(open_()) == len(FOLDERS)
    assert not ran.exists()
    assert not [line for line in hub.requests if line.endswith((".py", ".zip", ".csv"))]


def test_a_repository_without_images_says_so(put, open_) -> None:
    put({"README.md": b"# empty", "data.h5": b"..."})

    with pytest.raises(DataError, match="neither image files nor parquet files"):
        open_()


@pytest.mark.slow
def test_what_was_opened_once_opens_offline_and_is_the_same(hub, put, open_) -> None:
    put(FOLDERS)
    online = open_()
    hub.stop()

    offline = open_(offline=True)

    assert offline.ids == online.ids
    assert offline.fingerprint == online.fingerprint


@pytest.mark.slow
def test_a_dataset_that_is_partly_here_is_not_taken_for_whole(hub, put, open_) -> None:
    put(FOLDERS)
    open_()
    victim = next(hub.cache.glob("datasets--acme--knees/snapshots/*/train/tumour/a.png"))
    victim.unlink()

    with pytest.raises(Unavailable, match=r"1 of 8 files are missing.*--dataset hf:acme/knees"):
        open_(offline=True)
    assert len(open_()) == 8, "with a network it is completed"


def test_a_corrupted_image_is_refused_and_never_used(hub, put, open_) -> None:
    put(FOLDERS)
    hub.sent["test/healthy/a.png"] = bytes(len(FOLDERS["test/healthy/a.png"]))

    for offline in (False, True):
        with pytest.raises(Unavailable, match=r"a\.png of the dataset .* the file is damaged"):
            open_(offline=offline)


def test_without_the_library_the_error_says_what_to_type(put, registry, monkeypatch) -> None:
    put(FOLDERS)
    monkeypatch.setattr("mritk_huggingface.absent.find_spec", lambda library: None)

    with pytest.raises(
        Unavailable, match=r"needs the package datasets.*mritk-bench\[huggingface\]"
    ):
        registry.dataset(f"hf:{NAME}")


def test_prepared_data_that_cannot_be_locked_say_which_folder_to_set(
    put, open_, workspace, monkeypatch
) -> None:
    put({"train.parquet": parquet(image=[png(pixels(n)) for n in range(2)], label=["a", "b"])})
    home = workspace.home / "huggingface"

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("datasets.builder.FileLock", refuse)
    with pytest.raises(UsageError) as error:
        open_()
    assert str(error.value) == (
        f"cannot write to {home}: Permission denied; set MRITK_HOME to a writable folder"
    )
