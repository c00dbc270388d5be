"""What an audit tells, by the kinds of things that go wrong in collections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.audit.plants import HELD
from mritk import Classification, Regression
from mritk.audit.audit import audit
from mritk.audit.contact_sheet import contact_sheet
from mritk.audit.findings import Told, overlap, shared_sources
from mritk.audit.text import format_audit


def kinds(result):
    return {finding.kind: finding for finding in result.findings}


def test_a_clean_dataset_is_confirmed(heads, as_samples, audited):
    result = audited(as_samples(heads, splits=["train"] * 6 + ["test"] * 6))
    assert result.clean
    assert result.findings == ()
    text = format_audit(result)
    assert "Clean: no duplicates, nothing unreadable, patients unknown." in text
    assert "12 of 12 samples were read, 66 pairs compared" in text


def test_the_confirming_line_claims_no_more_than_was_checked(heads, as_samples, audited):
    patients = [f"p{i}" for i in range(12)]
    parts = ["train"] * 6 + ["test"] * 6
    told = format_audit(audited(as_samples(heads, patients=patients, splits=parts)))
    assert "Clean: no duplicates, nothing unreadable, no patient in two splits." in told
    drawn = format_audit(audited(as_samples(heads, patients=patients)))
    assert "Clean: no duplicates, nothing unreadable, no official split." in drawn
    blank = format_audit(audited(as_samples([np.full((9, 9), i, np.uint8) for i in range(4)])))
    assert "4 of 4 samples were read, 0 pairs compared" in blank


def test_a_class_that_is_called_as_a_column_stands_beside_it(heads, as_samples, audited):
    task = Classification(("controls", "patients"))
    patients = [f"p{i // 3}" for i in range(12)]
    result = audited(as_samples(heads, task=task, targets=[0, 0, 1] * 4, patients=patients))
    table = [line.strip("| ") for line in format_audit(result).splitlines() if "|" in line]
    head, _, row = ([cell.strip() for cell in line.split("|")] for line in table)
    assert head == ["part", "samples", "patients", "controls", "patients (class)"]
    assert row == ["all", "12", "4", "8", "4"]


def test_copies_across_parts_are_counted_by_the_strength_of_their_evidence(
    heads, as_samples, audited
):
    """Four of five test samples: one file, one array, one turned; one twice in the test part."""
    train, test = heads[:5], [heads[0], heads[1], np.rot90(heads[2]).copy(), heads[7], heads[2]]
    samples = replace(
        as_samples([*train, *test], splits=["train"] * 5 + ["test"] * 5, targets=[0] * 10),
        digest=lambda i: {5: "0"}.get(i, str(i)),
    )
    result = audited(samples)
    finding = kinds(result)["copies"]
    assert finding.level == "leak"
    assert finding.count == 4
    assert finding.text == (
        "4 of 5 test samples have a duplicate in the train set; of these, 3 with identical "
        "pixels, of which 1 with identical bytes"
    )
    assert not result.clean


def test_a_made_training_sample_that_is_a_test_sample_is_a_leak(heads, as_samples, audited):
    made_from = [*[""] * 4, "image-000", "image-002"]
    splits = ["train", "train", "test", "test", "train", "test"]
    pictures = [*heads[:4], heads[3], heads[0]]
    result = audited(as_samples(pictures, splits=splits, made_from=made_from, targets=[0] * 6))
    assert kinds(result)["copies"].text.startswith("1 of 2 test samples has a duplicate in the tr")
    assert not result.clean, "and the made test sample, which is not tested, is not counted"


def test_copies_within_a_part_are_a_note(heads, as_samples, audited):
    result = audited(as_samples([*heads, heads[0]], targets=[0] * 13))
    assert kinds(result)["clusters"].level == "note"
    assert result.clean
    assert "2 samples form 1 cluster of" in kinds(result)["clusters"].text


def test_one_image_under_two_labels_is_a_defect(heads, as_samples, audited):
    near = HELD["JPEG quality 90"](heads[3])
    result = audited(
        as_samples(
            [*heads, near],
            targets=[*np.arange(12) % 2, 0],
            task=Classification(("glioma", "meningioma")),
        )
    )
    finding = kinds(result)["labels"]
    assert finding.level == "defect"
    assert "image-003 (meningioma) = image-012 (glioma)" in finding.text


def test_one_subject_under_two_ids_is_a_defect(heads, as_samples, audited):
    patients = [f"p{i}" for i in range(12)]
    pictures = [*heads, heads[4]]
    assert "image-004 (p4) = image-012 (p99)" in (
        kinds(audited(as_samples(pictures, patients=[*patients, "p99"])))["subjects"].text
    )
    assert "subjects" not in kinds(audited(as_samples(pictures, patients=[*patients, "p4"])))


def test_a_patient_in_two_parts_is_a_leak(heads, as_samples, audited):
    patients = [f"p{i // 2}" for i in range(12)]
    splits = ["train"] * 7 + ["test"] * 5
    finding = kinds(audited(as_samples(heads, patients=patients, splits=splits)))["patients"]
    assert (finding.level, finding.count) == ("leak", 1)
    assert finding.text == "1 patient in more than one split: p3"


def test_copies_across_datasets_and_common_sources_are_leaks(heads, as_samples, audited):
    one, other = as_samples(heads[:6]), as_samples([heads[9], np.fliplr(heads[1]).copy()])
    result = audited(one, other, sources=[("figshare",), ("Fig-Share", "Br35H")])
    assert kinds(result)["across"].text == "1 of 2 samples of second are also in first"
    assert kinds(result)["sources"].text == "first and second both come from figshare"
    assert "first image-001 = second image-001" in format_audit(result)


def test_labels_are_compared_across_datasets_that_know_the_same_classes(heads, as_samples, audited):
    one = as_samples(heads[:3], task=Classification(("glioma", "no_tumor")), targets=[0, 0, 1])
    spelled = Classification(("Glioma", "No Tumor", "pituitary"))
    other = as_samples(heads[:3], task=spelled, targets=[0, 2, 1])
    found = kinds(audited(one, other))["labels"]
    assert found.items == ("first image-001 (glioma) = second image-001 (pituitary)",)


@pytest.mark.slow
def test_labels_of_other_vocabularies_are_not_compared_and_that_is_said_once(
    heads, as_samples, audited
):
    one = as_samples(heads[:3], task=Classification(("glioma", "none")), targets=[0, 0, 1])
    other = as_samples(heads[:3], task=Classification(("glioma_tumor", "none")), targets=[0, 1, 1])
    result = audited(one, other)
    assert "labels" not in kinds(result)
    (note,) = [finding for finding in result.findings if finding.kind == "classes"]
    assert note.level == "note"
    assert "first has glioma, none; second has glioma_tumor, none; --rename" in note.text
    apart = as_samples(heads[5:], task=Classification(("glioma_tumor", "none")))
    assert "classes" not in kinds(audited(one, apart)), "they share no image"


def test_one_dataset_in_which_labels_contradict_stands_beside_others(heads, as_samples, audited):
    twice = as_samples([heads[0], heads[0]], targets=[0, 1])
    other = as_samples(heads[:1], task=Classification(("p", "q")), targets=[0])
    assert kinds(audited(twice, other))["labels"].items == (
        "first image-000 (a) = first image-001 (b)",
    )


def test_patient_ids_of_two_datasets_say_nothing_of_each_other(heads, as_samples, audited):
    one, other = (as_samples(heads[:2], patients=[f"{k}1", f"{k}2"]) for k in "ab")
    assert "subjects" not in kinds(audited(one, other))


def test_numbers_are_compared_in_one_unit(heads, as_samples, audited):
    years, other = (
        as_samples(heads[:1], targets=[age], task=Regression("years")) for age in (-3.0, 3.0)
    )
    assert "labels" in kinds(audited(years, other))
    months = replace(other, task=Regression("months"))
    found = kinds(audited(years, months))
    assert "labels" not in found
    assert found["classes"].text == (
        "labels are not compared, because the targets differ: first has numeric targets (years); "
        "second has numeric targets (months)"
    )


def test_two_numbers_for_one_image_contradict_each_other(heads, as_samples, audited):
    ages = [*range(12), 77]
    finding = kinds(audited(as_samples([*heads, heads[0]], targets=ages, task=Regression("years"))))
    assert finding["labels"].items == ("image-000 (0) = image-012 (77)",)


def test_a_line_names_a_few_copies_of_an_image_and_how_many_more(heads, as_samples, audited):
    patients = [f"p{i}" for i in range(50)]
    finding = kinds(audited(as_samples(heads[:1] * 50, patients=patients)))["subjects"]
    assert finding.text == (
        "1 image under several patient ids: image-000 (p0) = image-001 (p1) = image-002 (p2) = 47 "
        "more"
    )
    assert finding.items[0].endswith("= image-049 (p49)")


def test_contradictions_among_many_copies_are_found_by_a_look_at_each():
    class Counted(str):
        looks = 0

        def __eq__(self, other):
            Counted.looks += 1
            return super().__eq__(other)

        __hash__ = str.__hash__

    texts = [Counted(f"p{i}") for i in range(500)]
    told = Told(texts, texts, np.zeros(500, int), np.eye(1, dtype=bool))
    assert told.contradicting(range(500)) == list(range(500))
    assert Counted.looks < 5000


def test_a_line_names_a_few_and_the_data_name_all(heads, as_samples, audited):
    def read(i):
        raise OSError("empty file")

    (finding,) = audited(replace(as_samples(heads), read=read, digest=str)).findings
    assert "and 9 more" in finding.text
    assert [item.split(" ")[0] for item in finding.items] == [f"image-{i:03d}" for i in range(12)]


def test_datasets_of_one_name_are_told_apart(heads, as_samples, workspace):
    samples = as_samples(heads[:2])
    result = audit([("folder:images", samples, (), ())] * 2, workspace)
    assert [dataset.name for dataset in result.datasets] == ["folder:images#1", "folder:images#2"]


def test_unreadable_and_constant_samples_are_named(heads, as_samples, audited):
    pictures = [*heads, np.zeros((20, 20), np.uint8)]

    def read(i):
        if i == 2:
            raise OSError("empty file")
        return pictures[i]

    result = audited(replace(as_samples(pictures), read=read, digest=str))
    assert kinds(result)["unreadable"].text == (
        "1 of 13 samples are unreadable: image-002 (empty file)"
    )
    assert kinds(result)["constant"].level == "note"
    assert "image-012" in kinds(result)["constant"].text


@pytest.mark.slow
def test_values_that_are_no_numbers_are_told_with_their_share(heads, as_samples, audited):
    shares = [0.0] * 12
    shares[3], shares[7], shares[9], shares[11] = 0.123, 0.6, 0.0001, 0.02
    samples = replace(as_samples(heads), holes=shares.__getitem__)
    finding = kinds(audited(samples))["holes"]
    assert finding.level == "note" and finding.count == 4
    assert finding.text == (
        "4 of 12 samples have values that are NaN or infinite, read as 0: image-007 60.0 %, "
        "image-003 12.3 %, image-011 2.0 % and 1 more"
    )
    assert finding.items[-1] == "image-009 <0.1 %"
    assert "holes" not in kinds(audited(replace(as_samples(heads[:5]), holes=lambda i: 0.0)))
    assert "holes" not in kinds(audited(as_samples(heads[:6])))


def test_findings_come_by_level(heads, as_samples, audited):
    pictures = [*heads, heads[0], heads[1], np.zeros((9, 9), np.uint8)]
    splits = ["train"] * 12 + ["test", "train", "train"]
    targets = [0] * 12 + [0, 1, 1]
    levels = [
        f.level for f in audited(as_samples(pictures, splits=splits, targets=targets)).findings
    ]
    assert levels == sorted(levels, key=["leak", "defect", "note"].index)
    assert {"leak", "defect", "note"} == set(levels)


@pytest.mark.parametrize(
    ("declared", "seen", "shared"),
    [
        (("figshare",), ("ImageNet-1k", "FigShare"), ("figshare",)),
        (("Br35H",), ("RadImageNet",), ()),
        ((), (), ()),
    ],
)
def test_pretraining_on_the_same_collection_is_a_leak(declared, seen, shared):
    assert shared_sources(declared, seen) == shared
    finding = overlap("set", declared, "net@weights", seen)
    assert (finding is None) == (not shared)
    if finding:
        assert finding.level == "leak"
        assert "net@weights was pretrained on figshare" in finding.text


def test_the_data_hold_every_pair_with_its_evidence(heads, as_samples, audited):
    pictures = [*heads, np.flipud(heads[0]).copy()]
    data = audited(as_samples(pictures, splits=["train"] * 12 + ["test"])).as_data()
    (cluster,) = data["clusters"]
    assert [member["id"] for member in cluster["members"]] == ["image-000", "image-012"]
    (pair,) = cluster["pairs"]
    assert pair == {
        "one": "image-000",
        "one_dataset": "first",
        "other": "image-012",
        "other_dataset": "first",
        "kind": "near",
        "similarity": pair["similarity"],
        "change": "flipped vertically",
    }
    train, test = data["datasets"][0]["parts"]
    assert train == {
        "part": "train",
        "samples": 12,
        "patients": None,
        "sites": None,
        "classes": {"a": 6, "b": 6},
    }
    assert test["samples"] == 1
    assert data["datasets"][0]["sizes"] == {"96×96": 13}
    assert data["datasets"][0]["modes"] == {"grey uint8": 13}


def test_samples_of_no_known_site_are_no_site(heads, as_samples, audited):
    samples = as_samples(heads, sites=["a", "b", *[""] * 10])
    (part,) = audited(samples).as_data()["datasets"][0]["parts"]
    assert part["sites"] == 2


def test_the_contact_sheet_shows_every_cluster_and_escapes_names(heads, as_samples, audited):
    samples = as_samples([*heads, heads[0]], targets=[0] * 12 + [1])
    samples = replace(samples, ids=[f"<b>{i}</b>" for i in range(13)])
    page = contact_sheet(audited(samples))
    assert page.count("<article") == 1
    assert page.count("data:image/jpeg;base64,") == 2
    assert "<b>" not in page
    assert "&lt;b&gt;12&lt;/b&gt;" in page
    assert 'id="labels"' in page
    assert "identical pixels" in page or "identical bytes" in page


@pytest.mark.slow
def test_the_contact_sheet_shows_volumes_and_colour(as_samples, audited):
    generator = np.random.default_rng(0)
    volume = generator.random((8, 20, 20)).astype(np.float32)
    page = contact_sheet(audited(replace(as_samples([volume, volume]), spatial_dims=3)))
    assert page.count("data:image/jpeg") == 2
    colour = generator.integers(0, 256, (40, 40, 3), np.uint8)
    assert contact_sheet(audited(as_samples([colour, colour]))).count("data:image/jpeg") == 2
