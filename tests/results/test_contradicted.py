"""Test images under several labels: the audit's finding, told below tables."""

from __future__ import annotations

import numpy as np
import pytest

from mritk import Classification, Samples
from mritk.audit.audit import audit
from mritk.audit.findings import samples_of
from mritk.results.footnotes import footnotes
from mritk.results.leaderboard import build_leaderboard
from tests.results.test_clean_scores import VERDICT

pytestmark = pytest.mark.slow

TOLD = "of the test samples {} under several labels, of which only one can be right"
CLASSES = ("a (left)", "b = c")


@pytest.fixture
def trial(make_record, workspace):
    """A trial, tested on s0 to s3, of data in which some samples are the same image."""

    def make(*same, **changes):
        ids = [*(f"s{i}" for i in range(4)), "s8", "s9", "s10 (a)", "s11"]
        labels = [0, 1] * 4
        pictures = np.random.default_rng(0).integers(0, 255, (len(ids), 32, 32), np.uint8)
        for one, other in same:
            pictures[ids.index(other)] = pictures[ids.index(one)]
        task = Classification(CLASSES)
        samples = Samples(ids, np.asarray(labels), task, lambda i: pictures[i])
        found = audit([("bands", samples, (), ())], workspace).findings
        stored = [{**vars(one), "items": list(one.items)} for one in found]
        return make_record(audit=VERDICT | {"findings": stored}, **changes)

    return make


def told(*trials):
    (table,) = build_leaderboard(list(trials)).tables
    return [note for note in footnotes(table) if "under several labels" in note]


def test_images_of_the_test_set_are_counted(trial):
    """One beside a training image, two of the test set itself; and one of no test sample."""
    (note,) = told(trial(("s0", "s9"), ("s2", "s1"), ("s10 (a)", "s11")))
    assert note.startswith("2 images " + TOLD.format("stand"))


def test_several_trials_tell_of_an_image_once(trial):
    same = ("s0", "s9")
    (note,) = told(trial(same), trial(same, seed=1), trial(same, backbone="other"))
    assert note.startswith("1 image " + TOLD.format("stands"))


@pytest.mark.parametrize("same", [("s10 (a)", "s11"), ("s0", "s2")], ids=["train", "one label"])
def test_nothing_is_told_of_others(trial, same):
    assert told(trial(same)) == []


def test_older_files_say_nothing(trial, make_record):
    without = trial(("s0", "s9"))
    (finding,) = [one for one in without.audit["findings"] if one["kind"] == "labels"]
    del finding["items"]
    assert told(without) == []
    assert told(make_record(audit={})) == []


@pytest.mark.parametrize(
    ("item", "names", "none"),
    [
        ("s1 (a) = s2 (b)", {"s1", "s2"}, {"s1 (a)"}),
        ("scan (1) (glioma) = foo (none)", {"scan (1)", "foo"}, {"scan"}),
        ("dose = 1 (glioma) = foo (none)", {"dose = 1", "foo"}, {"dose", "1 (glioma)"}),
        ("s1 (glioma (low)) = s2 (b = c)", {"s1", "s2"}, {"s1 (glioma", "c)"}),
        ("s1 (0) normal) = s2 (1) tumour)", {"s1", "s2"}, {"s1 (0)", "s2 (1)"}),
    ],
)
def test_ids_are_what_stands_before_a_label_whatever_signs_they_hold(item, names, none):
    found = samples_of(item)
    assert names <= found
    assert not found & none
