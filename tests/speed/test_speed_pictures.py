"""The pictures lie as training programs read them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from benchmarks.speed.pictures import link_parts, write_pictures
from benchmarks.speed.process import lay_out
from mritk import Workspace
from mritk.plugins.registry import Registry


def test_mritk_reads_parts_classes_and_patients(tmp_path, workspace: Workspace):
    write_pictures(tmp_path / "data", {"Training": 8, "Testing": 4}, side=64)
    samples = Registry.load(environ={}).dataset(f"folder:{tmp_path / 'data'}").open(workspace)
    assert samples.task.classes == ("glioma", "healthy", "meningioma", "pituitary")
    assert sorted(samples.splits).count("train") == 8
    assert len(set(samples.patients)) == 12
    assert samples.read(0).shape == (64, 64)


def test_without_a_part_the_classes_lie_on_top(tmp_path):
    write_pictures(tmp_path, {"": 4}, side=64)
    assert len(list(tmp_path.glob("*/*.jpg"))) == 4


def test_files_are_as_large_as_scans_of_that_size(tmp_path):
    """Decoding costs by the size of files, so a flat picture would be too easy."""
    write_pictures(tmp_path, {"": 4})
    for path in tmp_path.rglob("*.jpg"):
        assert 30_000 < path.stat().st_size < 90_000
        picture = np.asarray(Image.open(path))
        assert picture.shape == (512, 512) and picture[0].max() < 16  # dark around the head


def test_links_are_the_same_files_under_other_parts(tmp_path):
    write_pictures(tmp_path / "a", {"One": 4, "Two": 4, "Three": 4}, side=32)
    link_parts(tmp_path / "a", tmp_path / "b", {"x": ("One",), "y": ("Two", "Three")})
    assert len(list((tmp_path / "b" / "x").rglob("*.jpg"))) == 4
    assert len(list((tmp_path / "b" / "y").rglob("*.jpg"))) == 8
    linked = tmp_path / "b" / "x" / "glioma" / "sub-00000.jpg"
    assert linked.samefile(tmp_path / "a" / "One" / "glioma" / "sub-00000.jpg")


def test_every_program_gets_as_many_training_images(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.speed.pictures.SIDE", 32)
    monkeypatch.setattr(write_pictures, "__defaults__", (32,))
    lay_out(tmp_path, 50, 10)

    def count(part: str) -> int:
        return len(list((tmp_path / part).rglob("*.jpg")))

    assert count("pictures/Training") == count("peers/train") == 50
    assert count("pictures/Validation") + count("pictures/Testing") == count("peers/val") == 10
