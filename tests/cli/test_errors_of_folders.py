"""Folders of images with something wrong: what is said, and what to type."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mritk.store.folder import ResultsFolder


def write_images(folder: Path, count: int = 8, seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, len(str(folder.name)), *folder.name.encode()])
    for i in range(count):
        Image.fromarray(rng.integers(0, 255, (32, 32), dtype=np.uint8)).save(folder / f"{i}.png")


@pytest.fixture
def folder(tmp_path):
    for label in ("glioma", "none"):
        write_images(tmp_path / "images" / label, 20)
    return tmp_path / "images"


@pytest.fixture
def run_folder(mritk, toy, fast_protocol, tmp_path):
    def run(folder, *arguments):
        base = ("run", "-p", toy, "-b", "tiny", "--protocol", fast_protocol, "--seeds", 1)
        data = ("-d", f"folder:{folder}", "--no-patient-ids")
        return mritk(*base, *data, "-o", tmp_path / "results", *arguments)

    return run


def test_a_folder_that_is_not_there(run_folder, tmp_path):
    ended = run_folder(tmp_path / "nowhere")
    assert ended.code == 4
    assert "no folder" in ended.err


def test_a_folder_without_images(run_folder, tmp_path):
    (tmp_path / "empty" / "glioma").mkdir(parents=True)
    ended = run_folder(tmp_path / "empty")
    assert ended.code == 2
    assert "no images in" in ended.err


def test_a_folder_with_one_class(run_folder, tmp_path):
    write_images(tmp_path / "one" / "glioma")
    ended = run_folder(tmp_path / "one")
    assert ended.code == 2
    assert "one class only (glioma)" in ended.err


def test_patients_in_a_folder_of_their_own_are_told_from_classes(mritk, tmp_path):
    for patient in ("TCGA_CS_4941", "TCGA_DU_5851"):
        write_images(tmp_path / "lgg" / "kaggle_3m" / patient, 1)
    ended = mritk("audit", f"folder:{tmp_path / 'lgg'}")
    assert ended.code == 2
    assert "in a table (manifest:FILE.csv); TCGA_CS_4941, TCGA_DU_5851 in it look like" in ended.err


def test_folders_named_like_no_class(mritk, tmp_path):
    for name in ("images", "masks"):
        write_images(tmp_path / "lesions" / name, 1)
    ended = mritk("audit", f"folder:{tmp_path / 'lesions'}")
    assert ended.code == 2
    assert "has folders images, masks, none of which is named like a class" in ended.err
    assert "in a table (manifest:FILE.csv); if they are" in ended.err
    boxes = tmp_path / "boxes" / "labels"
    write_images(boxes.parent / "images", 1)
    boxes.mkdir()
    (boxes / "0.txt").write_text("0 .5 .5 .1 .1")
    assert "classes=" not in mritk("audit", f"folder:{boxes.parent}").err


def test_classes_beside_the_splits_are_not_to_be_named(mritk, tmp_path):
    root = tmp_path / "stroke"
    for part in ("Train", "Val", "External"):
        for label in ("normal", "stroke"):
            write_images(root / part / label, 1)
    ended = mritk("audit", f"folder:{root}")
    assert ended.code == 2
    assert f"or use folder:{root}/Train for that split only" in ended.err
    assert "classes=" not in ended.err, "that would be refused too"


def test_a_name_with_two_lines_does_not_make_a_message_of_two(mritk, tmp_path):
    (tmp_path / "data.csv").write_text('path,label\n"a\nb.png",glioma\n')
    ended = mritk("audit", f"manifest:{tmp_path / 'data.csv'}")
    assert ended.code == 2
    assert "of them missing: a\\nb.png (line 3)" in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.slow
def test_unreadable_images_stop_the_run_before_training(run_folder, folder, tmp_path):
    (folder / "glioma" / "broken.png").write_bytes(b"not an image")
    (folder / "none" / "empty.jpg").write_bytes(b"")
    whole = (folder / "none" / "3.png").read_bytes()
    (folder / "none" / "3.png").write_bytes(whole[: len(whole) // 2])
    ended = run_folder(folder)
    assert ended.code == 2
    assert "3 of 42 samples are unreadable" in ended.err
    assert "glioma/broken.png (not an image in a supported format (PNG, " in ended.err
    assert "none/empty.jpg (empty file)" in ended.err
    assert "none/3.png" in ended.err
    assert "--skip-unreadable" in ended.err
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_unreadable_images_are_skipped_on_request_and_counted(run_folder, folder, tmp_path):
    (folder / "glioma" / "broken.png").write_bytes(b"not an image")
    ended = run_folder(folder, "--skip-unreadable")
    assert ended.code == 0
    assert "skipped 1 unreadable samples: glioma/broken.png" in ended.err
    assert "1 unreadable samples were skipped" in ended.out
    (trial,) = ResultsFolder(tmp_path / "results").trials()
    assert trial.skipped == ["glioma/broken.png"]
    assert all("glioma/broken.png" not in ids for ids in trial.splits.values())


@pytest.mark.slow
def test_a_class_absent_from_a_split(run_folder, folder):
    write_images(folder / "rare", 1)
    ended = run_folder(folder)
    assert ended.code == 2
    assert "class 'rare' has 1 sample" in ended.err


def test_a_class_missing_from_the_testing_part(run_folder, tmp_path):
    for part, labels in {"Training": ("glioma", "none"), "Testing": ("glioma",)}.items():
        for label in labels:
            write_images(tmp_path / "kaggle" / part / label)
    ended = run_folder(tmp_path / "kaggle")
    assert ended.code == 2
    assert "the test set of" in ended.err
    assert "has no images of none" in ended.err
