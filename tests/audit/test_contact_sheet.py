"""The page of an audit: what is wrong comes first, and nothing is out of reach."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from mritk import Classification, Regression
from mritk.audit import contact_sheet as module
from mritk.audit.contact_sheet import contact_sheet
from mritk.audit.text import format_audit
from mritk.cli.tell import echo


@pytest.fixture
def tiny():
    """Seventy pictures that have nothing in common."""
    return list(np.random.default_rng(0).integers(0, 256, (70, 24, 24), np.uint8))


def test_label_conflicts_come_first_then_copies_across_parts_then_the_rest(
    tiny, as_samples, audited
):
    pictures = [*tiny[:6], tiny[0], tiny[1], tiny[2]]
    splits = ["train"] * 6 + ["train", "test", "train"]
    targets = [0] * 8 + [1]
    page = contact_sheet(audited(as_samples(pictures, splits=splits, targets=targets)))
    titles = re.findall(r"<h2 id=\"(\w+)\">", page)
    assert titles == ["labels", "across", "within"]
    bodies = re.split(r"<h2", page)[1:]
    for body, copy in zip(bodies, ("image-008", "image-007", "image-006"), strict=True):
        assert body.count("<article") == 1
        assert copy in body


def test_labels_conflict_only_where_the_findings_say_so(tiny, as_samples, audited):
    """One image is called alike in another spelling; one otherwise, by a set of other classes."""
    one = as_samples(tiny[:2], targets=[1, 0], task=Classification(("glioma", "no_tumor")))
    alike = as_samples(tiny[:1], targets=[1], task=Classification(("Glioma", "No Tumor")))
    other = as_samples(tiny[1:2], targets=[0], task=Classification(("glioma_tumor", "none")))
    result = audited(one, alike, other)
    assert "labels" not in {finding.kind for finding in result.findings}
    assert re.findall(r"<h2 id=\"(\w+)\">", contact_sheet(result)) == ["across"]


def test_clusters_of_contradicting_labels_are_named_before_larger_ones(tiny, as_samples, audited):
    spelled, wrong = Classification(("Glioma", "No Tumor")), tiny[2]
    one = as_samples([tiny[0]] * 3 + [wrong, wrong], targets=[1, 1, 1, 0, 1], task=spelled)
    other = as_samples(tiny[:1], targets=[1], task=Classification(("glioma", "no_tumor")))
    named = [line for line in format_audit(audited(one, other)).splitlines() if " = " in line]
    assert next(line for line in named if "[" in line).startswith("first image-003 = first")


def test_a_cluster_is_one_row_however_many_copies_it_has(tiny, as_samples, audited):
    page = contact_sheet(audited(as_samples([tiny[0]] * 20, targets=[0] * 20)))
    assert page.count("<article") == 1
    assert page.count("<img") == module.IN_A_ROW
    assert all(f"image-{number:03d}" in page for number in range(20))


def test_a_row_shows_each_label_before_any_label_again(tiny, as_samples, audited, monkeypatch):
    monkeypatch.setattr(module, "IN_A_ROW", 2)
    task = Classification(("glioma", "healthy"))
    page = contact_sheet(audited(as_samples([tiny[0]] * 9, targets=[0] * 8 + [1], task=task)))
    shown = re.findall(r"<figcaption><strong>(\w+)", page)
    assert shown == ["glioma", "healthy"]


def test_a_target_of_zero_is_told_under_its_image(tiny, as_samples, audited):
    samples = as_samples([tiny[0]] * 2, targets=[0.0, 2.5], task=Regression("years"))
    shown = re.findall(r"<figcaption><strong>(.*?)</strong>", contact_sheet(audited(samples)))
    assert shown == ["0.0", "2.5"]


@pytest.mark.slow
def test_every_cluster_and_every_name_is_on_the_page(tiny, as_samples, audited, monkeypatch):
    monkeypatch.setattr(module, "PICTURES", 30)
    page = contact_sheet(audited(as_samples([*tiny, *tiny], targets=[0] * 140)))
    assert page.count("<article") == 70
    assert page.count("<details") == 2
    assert page.count("<details open") == 1
    assert page.count("<img") == 30
    assert all(f"image-{number:03d}" in page for number in range(140))


def test_control_characters_in_names_reach_neither_terminal_nor_page(
    tiny, as_samples, audited, capsys
):
    samples = as_samples(
        [*tiny[:3], tiny[0]],
        targets=[0, 0, 0, 1],
        task=Classification(("a\x1b[31m", "<i>b</i>")),
    )
    samples = replace(samples, ids=[f"\x1b]0;owned\x07{i}\u202e" for i in range(4)])
    result = audited(samples)
    echo(format_audit(result))
    for text in (capsys.readouterr().out, contact_sheet(result)):
        assert not set(text) & {"\x1b", "\x07", "\u202e"}
        assert r"\u001b]0;owned\u0007" in text
    assert "<i>" not in contact_sheet(result)
