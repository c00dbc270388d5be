"""``hf:ORG/REPO`` of a dataset: the pixels that were put in come out, with labels and patients."""

from __future__ import annotations

import hashlib
import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mritk import (
    Classification,
    DataError,
    Regression,
    Unavailable,
    UsageError,
    Workspace,
    grey_levels,
)

from .conftest import Hub, Repo  # isort: skip

datasets = pytest.importorskip("datasets")

NAME = "acme/knees"


def png(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "png")
    return stream.getvalue()


def pixels(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape or (8, 6), dtype=np.uint8)


@pytest.fixture
def put(hub: Hub):
    def put(files: dict[str, bytes], **card) -> Repo:
        hub.datasets[NAME] = Repo(dict(files), card)
        return hub.datasets[NAME]

    return put


@pytest.fixture
def open_(registry, workspace):
    def open_(options: str = "", offline: bool = False):
        registry.workspace = Workspace(workspace.home, offline)
        return registry.dataset(f"hf:{NAME}{options}").open(registry.workspace)

    return open_


def parquet(**columns) -> bytes:
    """A parquet file as ``push_to_hub`` of the library writes it."""
    features = {"image": datasets.Image(), **columns.pop("features", {})}
    for name, values in columns.items():
        if name not in features:
            features[name] = datasets.Dataset.from_dict({name: values}).features[name]
    table = datasets.Dataset.from_dict(columns, features=datasets.Features(features)).data.table
    return written(table)


def written(table: pyarrow.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


FOLDERS = {
    f"{part}/{label}/{number}.png": png(pixels(10 * i + j))
    for i, (part, label) in enumerate(
        (part, label) for part in ("train", "test") for label in ("healthy", "tumour")
    )
    for j, number in enumerate("ab")
}


@pytest.mark.slow
def test_folders_of_images_are_classes_and_parts(put, open_) -> None:
    put(FOLDERS)

    samples = open_()

    assert sorted(samples.ids) == sorted(FOLDERS)
    assert samples.task == Classification(("healthy", "tumour"))
    assert samples.patients is None
    for i, name in enumerate(samples.ids):
        part, label, _ = name.split("/")
        np.testing.assert_array_equal(
            samples.read(i), np.asarray(Image.open(io.BytesIO(FOLDERS[name])))
        )
        assert samples.splits[i] == part
        assert samples.task.classes[samples.targets[i]] == label
        assert samples.content(i) == hashlib.sha256(FOLDERS[name]).hexdigest()


def test_the_record_names_source_licence_and_commit(put, registry) -> None:
    repo = put(FOLDERS, license="cc-by-4.0")

    record = registry.dataset(f"hf:{NAME}")

    assert (record.name, record.sources, record.license) == (f"hf:{NAME}", (NAME,), "cc-by-4.0")
    assert repo.commit in record.summary


@pytest.mark.slow
@pytest.mark.parametrize("file", ["metadata.csv", "metadata.jsonl"])
def test_a_metadata_file_tells_labels_and_patients(file: str, put, open_) -> None:
    rows = [
        {"file_name": f"{n}.png", "diagnosis": "ab"[n % 2], "who": 7 + n // 2} for n in range(6)
    ]
    if file.endswith("csv"):
        lines = [",".join(rows[0]), *(",".join(str(v) for v in row.values()) for row in rows)]
        text = "\n".join(lines)
    else:
        text = "\n".join(json.dumps(row) for row in rows)
    images = {f"train/{n}.png": png(pixels(n)) for n in range(6)}
    put(images | {f"train/{file}": text.encode()})

    samples = open_(",label=diagnosis,patient=who")

    assert dict(zip(samples.ids, samples.patients, strict=True)) == {
        f"train/{n}.png": str(7 + n // 2) for n in range(6)
    }
    assert samples.task == Classification(("a", "b"))
    assert [samples.targets[samples.ids.index(f"train/{n}.png")] for n in range(6)] == [0, 1] * 3
    assert samples.splits is None, "a lone split is no official one"


def test_class_folders_tell_the_label_where_the_metadata_do_not(put, open_) -> None:
    names = [name.removeprefix("train/") for name in FOLDERS if name.startswith("train/")]
    text = "file_name,patient\n" + "\n".join(f"{n},p{i // 2}" for i, n in enumerate(names))
    train = {f"train/{name}": FOLDERS[f"train/{name}"] for name in names}
    put(train | {"train/metadata.csv": text.encode()})

    samples = open_(",patient=patient")

    assert samples.task == Classification(("healthy", "tumour"))
    assert sorted(set(samples.patients)) == ["p0", "p1"]


def test_parquet_files_hold_images_class_names_and_parts(put, open_) -> None:
    names = ("meningioma", "glioma")
    label = {"label": datasets.ClassLabel(names=list(names))}
    images = [png(pixels(n)) for n in range(9)]
    put(
        {
            f"data/{part}-0000{k}-of-00002.parquet": parquet(
                image=[{"bytes": b, "path": "same.png"} for b in images[at]],
                label=[n % 2 for n in range(len(images[at]))],
                features=label,
            )
            for part, k, at in (
                ("train", 0, slice(0, 3)),
                ("train", 1, slice(3, 5)),
                ("validation", 0, slice(5, 7)),
                ("test", 0, slice(7, 9)),
            )
        }
    )

    samples = open_()

    assert samples.task == Classification(names)
    assert list(samples.splits) == ["train"] * 5 + ["val"] * 2 + ["test"] * 2
    assert samples.ids[:2] == ("train/000000", "train/000001")
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(samples.read, list(range(9)) * 20))
    for i, content in enumerate(images):
        for array in read[i::9]:
            np.testing.assert_array_equal(array, pixels(i))
        assert samples.content(i) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("struct", [True, False])
def test_parquet_files_of_other_tools_hold_bytes_alone(struct: bool, put, open_) -> None:
    images = [png(pixels(n)) for n in range(2)]
    column = [{"bytes": b, "path": "x.png"} for b in images] if struct else images
    put({"train.parquet": written(pyarrow.table({"scan": column, "label": ["a", "b"]}))})

    samples = open_(",image=scan")

    np.testing.assert_array_equal(samples.read(1), pixels(1))


def test_a_column_of_addresses_is_not_followed(put, open_) -> None:
    table = pyarrow.table({"image": ["https://example.org/x.png"] * 2, "label": ["a", "b"]})
    put({"train.parquet": written(table)})

    with pytest.raises(DataError, match=r"contains .*string.* not encoded images"):
        open_()


def test_whole_numbers_are_classes_and_fractions_are_measured(put, open_) -> None:
    images = [{"bytes": png(pixels(n)), "path": None} for n in range(4)]
    put({"train.parquet": parquet(image=images, grade=[10, 9, 9, 10], age=[61.5, 20.0, 33.0, 8.0])})

    graded, aged = open_(",label=grade"), open_(",label=age")

    assert (graded.task, graded.targets.tolist()) == (Classification(("9", "10")), [1, 0, 0, 1])
    assert (aged.task, aged.targets.tolist()) == (Regression(), [61.5, 20.0, 33.0, 8.0])


def test_images_may_be_grey_rgb_or_of_16_bits(put, open_) -> None:
    deep = np.arange(48, dtype=np.uint16).reshape(8, 6) * 1000
    arrays = [pixels(0), pixels(1, 8, 6, 3), pixels(2, 8, 6, 4), deep]
    images = [{"bytes": png(array), "path": None} for array in arrays]
    put({"train.parquet": parquet(image=images, label=["a", "b", "a", "b"])})

    samples = open_()

    np.testing.assert_array_equal(samples.read(0), arrays[0])
    np.testing.assert_array_equal(samples.read(1), arrays[1])
    np.testing.assert_array_equal(samples.read(2), arrays[2][..., :3])
    np.testing.assert_array_equal(samples.read(3), grey_levels(deep))


def test_an_unreadable_image_is_told_by_its_id(put, open_) -> None:
    put(FOLDERS | {"train/tumour/c.png": b"no image", "train/tumour/d.png": b""})

    with pytest.raises(DataError, match=r"not an image"):
        samples = open_()
        samples.read(samples.ids.index("train/tumour/c.png"))


def test_configs_of_a_card_are_chosen_by_name(put, open_) -> None:
    card = (
        "---\nconfigs:\n- config_name: axial\n  data_files: axial/*.parquet\n"
        "- config_name: coronal\n  data_files: coronal/*.parquet\n---\n"
    )
    image = [{"bytes": png(pixels(n)), "path": None} for n in range(2)]
    put(
        {
            "README.md": card.encode(),
            "axial/x.parquet": parquet(image=image, label=["a", "b"]),
            "coronal/x.parquet": parquet(image=image, label=["c", "d"]),
        }
    )

    assert open_(",config=coronal").task == Classification(("c", "d"))
    with pytest.raises(DataError, match=r"axial.*,config=NAME"):
        open_()


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


@pytest.mark.parametrize("text", ["nan", "None", " ", "N/A"])
def test_a_missing_label_or_patient_is_none(text: str, put, open_) -> None:
    image = [png(pixels(n, 8, 8)) for n in range(3)]
    labels = {"label": ["a", text, "b"], "kind": ["a", "b", "b"]}
    put({"train.parquet": parquet(image=image, who=["p", "q", text], **labels)})
    with pytest.raises(DataError, match="no label in 1 of 3 rows, such as row 1"):
        open_()
    with pytest.raises(DataError, match="has no patient in 1 of 3 rows, such as row 2"):
        open_(",label=kind,patient=who")


def test_an_unknown_option_is_answered_with_the_known_ones(put, registry) -> None:
    with pytest.raises(UsageError, match="did you mean patient"):
        registry.dataset(f"hf:{NAME},patients=x")


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
