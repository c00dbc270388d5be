"""A real image folder with an official split, where the environment names one."""

from __future__ import annotations

import json
import os

import pytest

DATA = os.environ.get("MRITK_TEST_DATA", "")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA, reason="MRITK_TEST_DATA names no brain-tumor-3264 folder"),
]


def test_the_official_parts_are_read_as_they_are():
    from mritk import Workspace
    from mritk.registry import Registry

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


def test_a_run_ends_with_a_leaderboard_and_a_second_one_only_prints_it(
    mritk, fast_protocol, tmp_path
):
    arguments = ("run", "-b", "small_cnn", "-d", f"folder:{DATA}", "--protocol", fast_protocol)
    first = mritk(*arguments, "--seeds", 1, "-o", tmp_path / "results")
    assert first.code == 0, first.err
    assert "official split, 394 test samples" in first.out
    assert "Image-level: the dataset names no patients" in first.out
    second = mritk(*arguments, "--seeds", 1, "-o", tmp_path / "results")
    assert second.out == first.out
    assert "1 of 1 trials were done before" in second.err
    (path,) = (tmp_path / "results" / "trials").glob("*.h5")
    validation = json.loads(mritk("show", path, "--json").out)["val"]
    assert validation["samples"] == 574
    assert validation["macro_auroc"] > 0.65, "three short epochs learn something; chance is 0.5"
