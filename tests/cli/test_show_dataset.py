"""``mritk show DATASET`` counts what is in it, where that costs little."""

from __future__ import annotations

import json
import zipfile

import pytest

from tests.cli.test_fetch import PLUGIN


@pytest.fixture
def contents(mritk, tmp_path):
    (tmp_path / "states.py").write_text(PLUGIN)

    def contents(name):
        ended = mritk("show", "-p", tmp_path / "states.py", name, "--json")
        assert ended.code == 0, ended.err
        return json.loads(ended.out)["dataset"]["contents"]

    return contents


@pytest.fixture
def images(tmp_path):
    """Files that are not images: they are counted, not decoded."""
    for name in ("train/a/1", "train/a/2", "train/b/1", "test/a/3", "test/b/2"):
        path = tmp_path / "imgs" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "imgs"


def test_samples_patients_splits_and_classes_are_counted(contents, images, own_home):
    counts = {"task": "classification", "sites": None}
    assert contents("made") == counts | {
        "samples": 6,
        "patients": 3,
        "splits": None,
        "classes": {"a": 3, "b": 3},
    }
    assert contents(f"folder:{images}") == counts | {
        "samples": 5,
        "patients": None,
        "splits": {"train": 3, "test": 2},
        "classes": {"a": 3, "b": 2},
    }


def test_so_says_the_text(mritk, images):
    lines = dict(line.split(None, 1) for line in mritk("show", f"folder:{images}").out.splitlines())
    assert lines["dataset.contents.samples"] == "5"
    assert lines["dataset.contents.classes.a"] == "3"
    assert lines["dataset.contents.patients"] == "–"


def test_of_numbers_mean_and_deviation_are_told(contents, tmp_path):
    ages = (20.5, 30.5, 60.0)
    rows = [f"{k}.png,{age}" for k, age in enumerate(ages)]
    for k in range(3):
        (tmp_path / f"{k}.png").touch()
    (tmp_path / "t.csv").write_text("\n".join(["path,target", *rows]))
    found = contents(f"manifest:{tmp_path / 't.csv'},task=regression")
    assert found["task"] == "regression"
    assert found["mean"] == pytest.approx(37)
    assert found["sd"] == pytest.approx(20.536, abs=1e-3)  # (16.5² + 6.5² + 23²) / 2 = 421.75


@pytest.mark.slow
def test_nothing_is_generated_unpacked_or_downloaded(contents, images, own_home, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a/1.png", "")
    assert "'mritk fetch -d generated' generates it" in contents("generated")["not_read"]
    assert contents("not_here") == {"not_read": "its generator is not installed"}
    assert contents("absent") == {"not_read": "no data here (offline mode)"}
    assert contents("broken") == {"not_read": "row 3 is broken"}
    assert "in an archive; 'mritk fetch -d" in contents(f"folder:{tmp_path / 'x.zip'}")["not_read"]
    assert not list(own_home.glob("*"))
    (own_home / "made").mkdir(parents=True)
    (own_home / "made" / "count").touch()
    assert contents("generated")["samples"] == 6
