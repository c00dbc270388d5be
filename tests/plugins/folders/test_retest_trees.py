"""Test–retest studies, ``PATIENT/{test,retest}``, of whom not every patient came again."""

from __future__ import annotations

import shutil

import pytest

from mritk_folders.tree import read_tree
from tests.plugins.folders.test_public_trees import images, in_folders, refusal

SCANS = ("test", "retest")
PATIENTS = in_folders("ab", ("p1", "p2", "p3"))
STUDIES = {
    "patients": in_folders(PATIENTS, SCANS),
    "parts above": in_folders(in_folders(("train", "test"), PATIENTS), SCANS),
    "other spellings": in_folders(PATIENTS, ("Test", "Re-Test")),
    "sites": in_folders(in_folders(in_folders("ab", ("s1", "s2")), ("p1", "p2")), SCANS),
    "series": in_folders(in_folders(PATIENTS, SCANS), ("flair", "dwi")),
}


@pytest.mark.parametrize("classes", [(), ("a", "b")])
@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_a_patient_who_did_not_come_again_takes_nothing_from_the_others(tree, study, classes):
    root = tree(*images(*study))
    every = read_tree(root, classes=classes)
    expected = dict(zip(every.ids, every.splits or [""] * len(every), strict=True))
    for folder in sorted(root.rglob("p2/[Rr]e*est")):
        shutil.rmtree(folder)
    gone = {name for name in expected if not (root / name).exists()}
    assert gone
    found = read_tree(root, classes=classes)
    assert dict(zip(found.ids, found.splits or [""] * len(found), strict=True)) == {
        name: part for name, part in expected.items() if name not in gone
    }


@pytest.mark.parametrize("classes", [(), ("a", "b")])
@pytest.mark.parametrize(
    "beside",
    [
        ("b/test",),
        ("b/p1/test",),
        ("a/test", "b"),
        ("a/p2/test", "a/p2", "b"),
        ("a/p2/test", "a/p2/x", "b"),
        ("a/p2/testing", "b"),
        ("a/p2/test", "a/p3/train", "b"),
        ("a/p2/test", "a/p2/train", "b"),
        ("a/p2/train", "b"),
        ("a/p2/x/test", "b"),
        ("a/p1/dev", "a/p2/dev", "a/p2/test", "b"),  # as in all patients, of whom one came again
        ("a/p2/dev", "a/p2/test", "b"),
        ("a/p1/dev", "a/p2/test", "b"),
        ("a/p2/dev", "a/p3/test", "b"),
        ("a/p2", "a/p3/test", "b"),
    ],
    ids=", ".join,
)
def test_what_may_be_an_official_part_beside_patients_with_two_scans_is_refused(
    tree, beside, classes
):
    root = tree(*images("a/p1/test", "a/p1/retest", *beside))
    text = refusal(root, classes=classes)
    assert "named like the t" in text or "inside and outside of official splits" in text
