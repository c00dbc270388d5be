"""Samples that a method is given without their targets, as the protocol's split says."""

from __future__ import annotations

import pytest

from mritk.store.folder import ResultsFolder

PLUGIN = '''
from dataclasses import dataclass

import numpy as np
from mritk import Method, ProtocolFile, UsageError, hookimpl

TEXT = """
method = "{method}"
image_size = 8
augmentation = "none"
[selection]
on = "last"
[split]
unlabelled = "{which}"
shots = 4
[parameters]
"""


@dataclass(frozen=True)
class Parameters:
    pass


class Told:
    def __init__(self, setup):
        given, self.notes = setup.unlabelled, {"train": list(setup.train.samples.ids)}
        if given is None:
            return
        samples = given.samples
        self.notes |= {
            "ids": list(samples.ids),
            "targets": sorted({float(t) for t in given.targets}),
            "kind": samples.task.kind,
            "hidden": samples.read_target is None and not samples.covariates,
            "images": list(np.asarray(given.images(8)).shape),
        }
        try:
            given.masks(8)
        except UsageError as error:
            self.notes["masks"] = str(error)

    def predict(self, subset):
        return np.zeros((len(subset), 3), np.float32)


@hookimpl
def mritk_methods():
    yield Method("eager", Told, Parameters, uses_backbone=False, uses_unlabelled=True)
    yield Method("plain", Told, Parameters, uses_backbone=False)


@hookimpl
def mritk_protocols():
    for which in ("none", "train", "all"):
        yield ProtocolFile(which, lambda w=which: TEXT.format(method="eager", which=w))
    yield ProtocolFile("wrong", lambda: TEXT.format(method="plain", which="train"))
'''


@pytest.fixture
def run(mritk, toy, tmp_path):
    (tmp_path / "eager.py").write_text(PLUGIN)

    def call(*protocols):
        asked = [word for name in protocols for word in ("--protocol", name)]
        plugins = ("-p", tmp_path / "eager.py", "-p", toy)
        return mritk("run", *plugins, "-d", "bands", *asked, "--seeds", "1", "-o", tmp_path / "r")

    return call


@pytest.mark.slow
def test_a_method_is_given_what_the_protocol_says_and_no_target(run, tmp_path):
    ended = run("none", "train", "all")
    assert ended.code == 0, ended.err
    records = {record.protocol: record for record in ResultsFolder(tmp_path / "r").trials()}
    parts = {
        name: set(records["none"].splits.get(name, ()))
        for name in ("train", "val", "test", "unused")
    }
    assert "ids" not in records["none"].notes
    assert set(records["train"].notes["ids"]) == parts["train"] | parts["unused"]
    assert set(records["all"].notes["ids"]) == set.union(*parts.values())
    assert len(records["all"].notes["ids"]) == 90
    for name in ("train", "all"):
        notes = records[name].notes
        assert (notes["targets"], notes["kind"], notes["hidden"]) == ([0.0], "unlabelled", True)
        assert notes["images"] == [len(notes["ids"]), 8, 8]
        assert notes["masks"] == "samples without targets have no label maps"
        assert set(notes["train"]) == parts["train"]
    assert len({record.fingerprint for record in records.values()}) == 3
    # Rows of one table, of which one is marked.
    assert ended.out.count("test samples of") == 1
    assert [line for line in ended.out.splitlines() if "◊" in line and "| all " in line]
    assert "◊ Trained on the images of the test set too, without their labels." in ended.out


def test_a_method_that_would_not_look_at_them_is_refused(run):
    ended = run("wrong")
    assert ended.code == 2
    assert "gives unlabelled samples to plain, which does not learn from any" in ended.err
