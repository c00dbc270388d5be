"""``mritk audit``: what it prints, and the exit code that a gate acts on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mritk.errors import ExitCode


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


@pytest.fixture
def pictures():
    """Twenty pictures of different structure."""
    generator = np.random.default_rng(0)
    small = [Image.fromarray(generator.integers(0, 256, (9, 9), np.uint8)) for _ in range(20)]
    return [np.asarray(image.resize((96, 96), Image.Resampling.BICUBIC)) for image in small]


@pytest.fixture
def folder(tmp_path, pictures):
    """A clean folder with an official split."""
    root = tmp_path / "images"
    for number, picture in enumerate(pictures):
        part = "Training" if number < 14 else "Testing"
        write(root / part / ("glioma", "none")[number % 2] / f"{number:02d}.png", picture)
    return root


def test_a_clean_folder_gives_0_and_a_line_that_says_what_was_checked(mritk, folder):
    ended = mritk("audit", f"folder:{folder}")
    assert ended.code == ExitCode.OK
    assert "| train  |        14 | unknown    |        7 |      7 |" in ended.out
    assert "Clean: no duplicates" in ended.out
    assert "20 of 20 samples were read, 190 pairs compared" in ended.out


@pytest.mark.slow
def test_what_is_passed_over_is_told_and_makes_the_data_no_worse(mritk, folder):
    for name in ("Training/loose.png", "Testing/none/labels.csv"):
        (folder / name).touch()
    ended = mritk("audit", f"folder:{folder}", "--json")
    assert ended.code == ExitCode.OK
    (finding,) = json.loads(ended.out)["findings"]
    assert finding["kind"] == "files"
    assert finding["items"] == ["Training/loose.png", "Testing/none/labels.csv"]
    assert finding["text"] == (
        "ignored: 1 without a class (Training/loose.png); 1 without an image or NIfTI suffix "
        "(Testing/none/labels.csv)"
    )
    text = " ".join(mritk("audit", f"folder:{folder}").out.split())
    assert "20 of 20 samples were read, 190 pairs compared, 2 files or folders ignored" in text
    (folder / "Training/loose.png").unlink()
    text = " ".join(mritk("audit", f"folder:{folder}").out.split())
    assert "190 pairs compared, 1 file or folder ignored" in text


def test_a_folder_that_cannot_be_listed_is_not_clean(mritk, folder, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("none"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    ended = mritk("audit", f"folder:{folder}")
    assert ended.code == ExitCode.USAGE
    assert "none cannot be listed (Permission denied)" in ended.err


def test_a_leak_gives_1(mritk, folder, pictures):
    write(folder / "Testing" / "glioma" / "copy.png", np.rot90(pictures[2]))
    ended = mritk("audit", f"folder:{folder}")
    assert ended.code == ExitCode.GATE_FAILED == 1
    assert "1 of 7 test samples has a duplicate in the train set" in " ".join(ended.out.split())
    assert "Testing/glioma/copy.png = Training/glioma/02.png" in ended.out
    assert "rotated by 90°" in ended.out
    assert "Not clean: 1 leak and 0 defects." in ended.out


def test_json_is_the_whole_report(mritk, folder, pictures):
    write(folder / "Testing" / "glioma" / "copy.png", pictures[2])
    ended = mritk("audit", f"folder:{folder}", "--json")
    data = json.loads(ended.out)
    assert ended.code == 1
    assert data["clean"] is False
    assert [finding["kind"] for finding in data["findings"]] == ["copies", "clusters"]
    (cluster,) = data["clusters"]
    assert {member["split"] for member in cluster["members"]} == {"train", "test"}
    assert cluster["pairs"][0]["kind"] == "bytes"


def test_the_page_of_copies_is_one_file(mritk, folder, pictures, tmp_path):
    write(folder / "Testing" / "glioma" / "copy.png", pictures[2])
    page = tmp_path / "pairs.html"
    ended = mritk("audit", f"folder:{folder}", "--html", page)
    assert f"Page: {page}" in ended.err
    assert page.read_text(encoding="utf-8").count("<article") == 1
    assert 'src="http' not in page.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_told_before_the_work(mritk, folder, tmp_path):
    ended = mritk("audit", f"folder:{folder}", "--html", tmp_path / "nowhere" / "pairs.html")
    assert ended.code == 2
    assert "no folder" in ended.err


@pytest.mark.slow
def test_several_datasets_are_compared_with_each_other(mritk, folder, pictures, tmp_path):
    other = tmp_path / "other"
    for number in range(4):
        write(other / "ab"[number % 2] / f"{number}.png", np.fliplr(pictures[5 + number]))
    ended = mritk("audit", f"folder:{folder}", f"folder:{other}")
    assert ended.code == 1
    assert "4 of 4 samples of folder:other are also in folder:images" in " ".join(ended.out.split())


def test_files_that_cannot_be_read_are_listed_and_are_a_defect(mritk, folder):
    (folder / "Training" / "glioma" / "empty.png").write_bytes(b"")
    ended = mritk("audit", f"folder:{folder}")
    assert ended.code == 1
    assert "Training/glioma/empty.png (empty file)" in " ".join(ended.out.split())


def test_label_maps_that_a_run_would_refuse_are_listed_and_are_a_defect(mritk, tmp_path):
    """The audit before is kept: label maps are read again every time."""
    plugin = tmp_path / "maps.py"
    lines = """
from mritk import Dataset, Samples, Segmentation, hookimpl
import numpy as np

def open_set(workspace):
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16)).astype(np.uint8)
    return Samples([f"s{i}" for i in range(4)], np.empty(0), Segmentation(("background", "core")),
                   lambda i: images[i], read_target=lambda i: images[i] // 128 * LABEL)

@hookimpl
def mritk_datasets():
    yield Dataset("mapped", open_set)
"""
    plugin.write_text(lines.replace("LABEL", "1"), encoding="utf-8")
    assert mritk("audit", "-p", plugin, "mapped").code == 0
    plugin.write_text(lines.replace("LABEL", "2"), encoding="utf-8")
    ended = mritk("audit", "-p", plugin, "mapped", "--json")
    assert ended.code == 1
    (finding,) = json.loads(ended.out)["findings"]
    assert (finding["kind"], finding["count"]) == ("unreadable", 4)
    assert "s0 (has the value 2, but the labels are 0 to 1;" in finding["text"]


@pytest.mark.slow
def test_a_second_audit_decodes_nothing(mritk, folder, monkeypatch):
    mritk("audit", f"folder:{folder}")

    def refuse(path):
        raise AssertionError(f"{path} was decoded again")

    monkeypatch.setattr("mritk_folders.scan_table.read_image", refuse)
    assert mritk("audit", f"folder:{folder}").code == 0


def test_patients_can_be_told(mritk, tmp_path, pictures):
    root = tmp_path / "slices"
    for number, picture in enumerate(pictures):
        part = "Training" if number < 14 else "Testing"
        name = f"pat{number // 4}_{number}.png"
        write(root / part / ("glioma", "none")[number % 2] / name, picture)
    ended = mritk("audit", f"folder:{root}", "--patient-regex", r"(pat\d+)_")
    assert ended.code == 1
    assert "1 patient in more than one split: pat3" in ended.out


def test_pretraining_on_the_same_collection_is_told(mritk, folder, tmp_path):
    plugin = tmp_path / "seen.py"
    plugin.write_text(
        """
from mritk import Architecture, Classification, Dataset, Samples, Weights, hookimpl
import numpy as np

def open_set(workspace):
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16)).astype(np.uint8)
    return Samples([str(i) for i in range(8)], np.arange(8) % 2, Classification(("a", "b")),
                   lambda i: images[i])

@hookimpl
def mritk_datasets():
    yield Dataset("known", open_set, sources=("figshare",))

@hookimpl
def mritk_backbones():
    yield Architecture("net", lambda: None)
    yield Weights("net", "brains", lambda workspace: None, pretrained_on=("Figshare", "IXI"))
""",
        encoding="utf-8",
    )
    ended = mritk("audit", "-p", plugin, "known", "--backbone", "net@brains")
    assert ended.code == 1
    assert "net@brains was pretrained on figshare, a source of known" in ended.out
    assert mritk("audit", "-p", plugin, "known", "--backbone", "net@scratch").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Missing argument 'DATASET…'"),
        (["nowhere"], 2, "unknown dataset 'nowhere'"),
        (["folder:/nowhere"], 4, "no folder /nowhere"),
        (["phantom", "--rename", "glioma"], 2, "'glioma' is not OLD=NEW"),
        (["folder:{folder}", "--rename", "a=b"], 2, "has no class 'a'"),
        (["phantom", "--patient-regex", "("], 2, "not a valid regular expression"),
    ],
)
def test_mistakes_are_explained(mritk, folder, arguments, code, message):
    ended = mritk("audit", *[argument.format(folder=folder) for argument in arguments])
    assert ended.code == code
    assert message in ended.err
    assert "Traceback" not in ended.err
