"""``mritk show DATASET`` counts what is in it, where that costs little."""

from __future__ import annotations

import json
import zipfile

import pytest

from tests.cli.test_fetch import PLUGIN


@pytest.fixture
def contents(mritk, tmp_path):
    (tmp_path / "states.py").write_text(PLUGIN)

    def contents(name, plugin=tmp_path / "states.py"):
        ended = mritk("show", "-p", plugin, name, "--json")
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


SPELLINGS = """
from mritk import Classification, Dataset, Samples, hookimpl


def made(*patients):
    task = Classification(("b", "e\u0301", "\xe9"))
    sites = ["s 1", "S1", "s2", "N/A"]
    targets = [1, 0, 2, 0]
    return Samples(list("1234"), targets, task, None, patients=patients, sites=sites)


@hookimpl
def mritk_datasets():
    yield Dataset("variants", lambda _: made("p1", "P1", "p-2", "p 2"))
    yield Dataset("nameless", lambda _: made("p1", "P1", "p-2", "NaN"))
    yield Dataset("empty", lambda _: Samples([], [], Classification(("a", "b")), None))
"""


@pytest.fixture
def spellings(tmp_path):
    (tmp_path / "spellings.py").write_text(SPELLINGS)
    return tmp_path / "spellings.py"


def test_names_of_several_spellings_are_counted_as_a_run_has_them(mritk, contents, spellings):
    found = contents("variants", spellings)
    assert (found["samples"], found["patients"], found["sites"]) == (4, 2, 2)
    assert found["classes"] == {"b": 2, "\xe9": 2}
    assert "4 samples of 2 patients" in mritk("fetch", "-d", "variants", "-p", spellings).out


@pytest.mark.parametrize(
    ("name", "why"),
    [("nameless", "patient 'NaN', which stands for a missing value"), ("empty", "has no samples")],
)
def test_what_a_run_refuses_is_not_counted(contents, spellings, name, why):
    assert why in contents(name, spellings)["not_read"]
