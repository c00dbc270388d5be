"""Each file of a tree is a sample, or named as passed over, or litter; or the tree is refused."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mritk import DataError, Scans, Unavailable, class_tree
from mritk.reading.litter import is_litter
from mritk.reading.suffixes import IMAGE_SUFFIXES
from mritk_folders.kind import Kind, kind_of
from mritk_folders.tree import read_tree

FOLDERS = st.sampled_from(
    [
        *("a", "b", "B", "healthy", "Training", "Testing", "val", "1. train", "dataset", "P1"),
        *("P2", "sub-03", "pred", "axial", ".cache", "__MACOSX", "yes", "no", "masks", "x.png"),
    ]
)
FILES = st.sampled_from(
    [
        *("1.png", "2.JFIF", "3.jpe", "scan.tif", "scan_mask.tif", "old.bmp", "labels.csv"),
        *("readme", "4.mat", ".5.png", "Thumbs.db", "._1.png", "6.png.txt", "7.webp"),
    ]
)
PATHS = st.builds(
    lambda base, folders, last: "/".join([base, *folders, last]).strip("/"),
    st.sampled_from(["", "a", "Training/a", "dataset/yes"]),
    st.lists(FOLDERS, max_size=3),
    FILES | FOLDERS,
)
SOUND = st.sampled_from(
    [
        ["a/1.png", "b/1.png"],
        ["Training/a/1.png", "Training/b/1.png", "Testing/a/1.png", "Testing/b/1.png"],
        ["dataset/yes/1.png", "dataset/no/1.png"],
        [],
    ]
)


def build(root, paths):
    """Create an empty file per path; the last part of FOLDERS becomes a folder."""
    for path in paths:
        target = root / path
        try:
            if kind_of(target.name) or "." in target.name[1:] or target.name == "readme":
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
            else:
                target.mkdir(parents=True, exist_ok=True)
        except OSError:  # a file stands where a folder is wanted
            continue


def entries(root):
    """Every file and every empty folder that no litter is on the way to."""
    for folder, _, files in os.walk(root):
        inside = Path(folder).relative_to(root)
        if any(is_litter(part) for part in inside.parts):
            continue
        yield from ((inside / name).as_posix() for name in files if not is_litter(name))
        if not any(Path(folder).iterdir()) and inside.parts:
            yield f"{inside.as_posix()}/"


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(SOUND, st.lists(PATHS, max_size=8), st.booleans())
def test_nothing_is_dropped_in_silence(sound, paths, archive):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        root.mkdir()
        build(root, [*sound, *paths])
        try:
            samples = read_tree(root, typed="folder:set.zip", archive=archive)
        except DataError as error:
            assert folder not in str(error), "the place that an archive is unpacked to says nothing"
            assert "set.zip" in str(error)
            return
        except Unavailable:
            return
        told = [name for found in samples.passed_over for name in found.names]
        assert not set(told) & set(samples.ids)
        assert len(told) == len(set(told))
        for entry in entries(root):
            unentered = any(entry.startswith(name) for name in told if name.endswith("/"))
            assert entry in samples.ids or entry in told or unentered, entry


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(IMAGE_SUFFIXES), st.data())
def test_a_suffix_of_an_image_counts_in_any_case(suffix, data):
    upper = data.draw(st.lists(st.booleans(), min_size=len(suffix), max_size=len(suffix)))
    spelt = "".join(c.upper() if up else c for c, up in zip(suffix, upper, strict=True))
    assert kind_of(f"scan{spelt}") is Kind.IMAGE


def test_the_suffixes_are_those_that_pillow_reads_for_the_formats_that_people_have():
    Image.init()
    formats = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
    known = {suffix for suffix, name in Image.EXTENSION.items() if name in formats}
    assert set(IMAGE_SUFFIXES) == known


def test_each_hidden_file_is_looked_at_once(tmp_path, monkeypatch):
    """Not once for every other: a folder may hold thousands."""
    for name in ("a/1.png", "b/1.png", *(f"a/.{n}.json" for n in range(30))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    scans = Scans("folder:x", "images", lambda path: path.suffix == ".png", "1.png")
    tree, looked_at, is_dir = class_tree(tmp_path, scans), [], Path.is_dir
    monkeypatch.setattr(Path, "is_dir", lambda path: looked_at.append(path) or is_dir(path))
    (passed,) = tree.passed_over("no image")
    assert len(passed.names) == len(looked_at) == 30
