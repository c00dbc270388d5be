"""A real image folder with an official split, where the environment names one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from mritk.store.trial_file import read_trial

DATA = os.environ.get("MRITK_TEST_DATA", "")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA, reason="MRITK_TEST_DATA names no brain-tumor-3264 folder"),
]


@pytest.fixture(autouse=True)
def one_home(monkeypatch, tmp_path_factory):
    """One cache for all tests here: the audit of 3,264 files is made once."""
    home = tmp_path_factory.getbasetemp() / "real-home"
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("MRITK_HOME", str(home))


def test_the_official_parts_are_read_as_they_are():
    from mritk import Workspace
    from mritk.plugins.registry import Registry

    samples = Registry.load(environ={}).dataset(f"folder:{DATA}").open(Workspace.from_environment())
    assert len(samples) == 3264
    assert list(samples.splits).count("test") == 394
    assert samples.task.classes == (
        "glioma_tumor",
        "meningioma_tumor",
        "no_tumor",
        "pituitary_tumor",
    )
    assert samples.patients is None


@cache
def pixels() -> dict[str, int]:
    """Return a digest of the pixels of each image, by a way of its own.

    All are grey, as the audit says too, so that brightness is all there is: to decode it takes half
    the time of colours.
    """
    found = {}
    for path in sorted(Path(DATA).rglob("*.jpg")):
        with Image.open(path) as image:
            image.draft("L", image.size)
            name = path.relative_to(DATA).as_posix()
            found[name] = hash((image.size, image.mode, image.tobytes()))
    return found


def copied(digests: Mapping[str, object]) -> int:
    """Count the test images whose digest a training image has."""
    train = {digest for name, digest in digests.items() if name.startswith("Training")}
    return sum(digest in train for name, digest in digests.items() if name.startswith("Testing"))


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    return tmp_path_factory.mktemp("searched")


@pytest.fixture
def shared_home(searched, monkeypatch):
    """One MRITK_HOME for the tests of this file, so that copies are searched once."""
    monkeypatch.setenv("MRITK_HOME", str(searched))


@pytest.mark.usefixtures("shared_home")
def test_the_audit_finds_the_copies_in_the_official_split(mritk):
    ended = mritk("audit", f"folder:{DATA}", "--json")
    assert ended.code == 1
    data = json.loads(ended.out)
    found = {finding["kind"]: finding for finding in data["findings"]}
    assert data["datasets"][0]["modes"] == {"grey uint8": 3264}
    files = {
        path.relative_to(DATA).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(DATA).rglob("*.jpg")
    }
    assert (copied(files), copied(pixels())) == (88, 251)
    assert "251 with identical pixels, of which 88 with identical bytes" in found["copies"]["text"]
    assert 259 <= found["copies"]["count"] <= 290
    assert found["labels"]["count"] >= 2
    members = [len({m["target"] for m in cluster["members"]}) for cluster in data["clusters"]]
    assert sum(count > 1 for count in members) == found["labels"]["count"]


@pytest.mark.usefixtures("shared_home")
def test_a_run_ends_with_a_leaderboard_and_a_second_one_only_prints_it(
    mritk, fast_protocol, tmp_path
):
    # In fewer and larger steps, which learn as much of so many images.
    text = fast_protocol.read_text()
    assert "batch_size = 16" in text
    fast_protocol.write_text(text.replace("batch_size = 16", "batch_size = 64"))
    arguments = ("run", "-b", "small_cnn", "-d", f"folder:{DATA}", "--protocol", fast_protocol)
    first = mritk(*arguments, "--seeds", 1, "-o", tmp_path / "results")
    assert first.code == 0, first.err
    assert "official split, 394 test samples (" in first.out
    assert "balanced accuracy (394) ↑" in first.out
    assert "Image-level: without patient ids" in first.out
    second = mritk(*arguments, "--seeds", 1, "-o", tmp_path / "results")
    assert second.out == first.out
    assert "1 of 1 trials were already finished" in second.err
    (path,) = (tmp_path / "results" / "trials").glob("*.h5")
    trial = read_trial(path)
    arrays = pixels()
    tested = {arrays[name] for name in trial.splits["test"]}
    assert len(trial.splits["test"]) == 394
    assert not tested & {arrays[name] for part in ("train", "val") for name in trial.splits[part]}
    assert len(trial.splits["dropped"]) > 200
    assert 100 < trial.predictions["test"].clean.sum() <= 394 - 259
    validation = json.loads(mritk("show", path, "--json").out)["val"]
    assert 450 < validation["samples"] < 574, "a fifth of what is left without the copies"
    assert validation["macro_auroc"] > 0.8, "0.9 after three epochs; of shuffled labels up to 0.7"
