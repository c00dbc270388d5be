"""``phantom3d``: synthetic heads whose targets can be seen in them, and nowhere else."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from mritk import Samples, UsageError, Workspace
from mritk_phantom.heads.family import HeadOptions, resolve_heads
from mritk_phantom.heads.people import people
from mritk_phantom.heads.recipe import SEQUENCES, HeadRecipe
from mritk_phantom.heads.scan import scan_person
from mritk_phantom.heads.store import ensure, open_heads

HEALTHY = HeadRecipe("healthy", 40, 32, ("t1",))
TUMOURS = HeadRecipe("tumour", 20, 32)


@dataclass(frozen=True)
class Heads:
    """A workspace in which the small cohorts of these tests are generated once."""

    workspace: Workspace

    def opened(self, recipe: HeadRecipe, target: str, sequences=("t1",)) -> Samples:
        """Open a cohort for a target."""
        return open_heads(recipe, target, sequences, self.workspace)


@pytest.fixture(scope="module")
def heads(tmp_path_factory) -> Heads:
    return Heads(Workspace(tmp_path_factory.mktemp("heads")))


def volumes(samples: Samples) -> np.ndarray:
    return np.stack([samples.read(i) for i in range(len(samples))])


# -- who is in it --------------------------------------------------------------------------------


def test_a_person_is_the_same_in_a_cohort_of_any_size():
    assert people(400, 152, healthy=False)[:40] == people(40, 152, healthy=False)


def test_every_twenty_have_each_class_five_times_and_one_site_is_for_the_test_alone():
    cohort = people(200, 152, healthy=False)
    for start in range(0, 200, 20):
        run = cohort[start : start + 20]
        assert [sum(p.tumour == k for p in run) for k in range(4)] == [5, 5, 5, 5]
    assert {p.site for p in cohort if p.part == "test"} == {0, 1, 2, 3}
    assert {p.site for p in cohort if p.part == "train"} == {0, 1, 2}
    # Scanner and class say nothing about each other.
    counts = np.zeros((4, 4))
    for person in people(4000, 152, healthy=False):
        counts[person.site, person.tumour] += 1
    expected = counts.sum(1, keepdims=True) * counts.sum(0) / counts.sum()
    assert np.abs(counts / expected - 1).max() < 0.15


@pytest.mark.slow
def test_scans_of_one_patient_share_patient_part_and_target(heads):
    samples = heads.opened(HEALTHY, "age")
    rows = list(zip(samples.patients, samples.splits, samples.targets, strict=True))
    assert len(rows) > len(set(samples.patients)) == 40
    assert len(set(rows)) == 40
    assert samples.ids[0] == "patient-0000/scan-1"


# -- what a volume is ----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_scan_is_a_function_of_person_and_recipe_alone(heads):
    samples = heads.opened(TUMOURS, "tumour", SEQUENCES)
    person = people(20, TUMOURS.seed, healthy=False)[7]
    scans, _ = scan_person(person, TUMOURS)
    row = samples.ids.index(f"{person.name}/scan-1")
    assert np.array_equal(samples.read(row), scans[0].volumes)


@pytest.mark.slow
def test_volumes_are_grey_cubes_with_spacing_covariates_and_a_digest_each(heads):
    samples = heads.opened(HEALTHY, "sex")
    found = volumes(samples)
    assert (found.dtype, found.shape[1:]) == (np.uint8, (32, 32, 32))
    assert samples.spacing.tolist() == [[216 / 32] * 3] * len(samples)
    assert set(samples.covariates) == {"age", "sex", "scanner", "head_volume"}
    assert len({samples.digest(i) for i in range(len(samples))}) == len(samples)
    assert samples.task.classes == ("female", "male")


@pytest.mark.slow
def test_the_first_axis_runs_upwards_and_left_and_right_are_alike(heads):
    """Axes are superior, posterior and left, as mritk reads NIfTI volumes."""
    mean = volumes(heads.opened(HEALTHY, "age")).mean(axis=0)
    assert np.corrcoef(mean.ravel(), mean[:, :, ::-1].ravel())[0, 1] > 0.98
    # The neck goes on below; above the vertex is air.
    assert mean[0].mean() > 2 * mean[-1].mean()


@pytest.mark.slow
def test_a_generated_folder_is_used_again_and_a_broken_one_is_made_anew(heads):
    folder = ensure(heads.workspace, HEALTHY)
    before = (folder / "volumes.npy").stat().st_mtime_ns
    assert (ensure(heads.workspace, HEALTHY) / "volumes.npy").stat().st_mtime_ns == before
    rows = json.loads((folder / "samples.json").read_text())
    (folder / "samples.json").write_text("[]")
    again = Path(ensure(heads.workspace, HEALTHY))
    assert json.loads((again / "samples.json").read_text()) == rows


# -- what can be learned -------------------------------------------------------------------------


@pytest.mark.slow
def test_a_person_who_ages_keeps_the_skull_and_loses_brain_within_it():
    persons = people(8, HEALTHY.seed, healthy=True)
    for person in persons:
        (young, *_), size = scan_person(replace(person, age=20.0), HEALTHY)
        (old, *_), later = scan_person(replace(person, age=88.0), HEALTHY)
        assert later == size
        # In T1, fluid is dark: the ventricles widen and the sulci open.
        head = young.volumes[0] > 40
        assert old.volumes[0][head].mean() < 0.97 * young.volumes[0][head].mean()


@pytest.mark.slow
def test_men_have_larger_heads_and_size_tells_nothing_about_age(heads):
    samples = heads.opened(HEALTHY, "sex")
    size, age = samples.covariates["head_volume"], samples.covariates["age"]
    men = samples.targets == 1
    assert size[men].mean() > size[~men].mean() * 1.05
    assert size[men].min() < size[~men].max()
    assert abs(np.corrcoef(size, age)[0, 1]) < 0.35


@pytest.mark.slow
def test_scanners_differ_in_brightness(heads):
    samples = heads.opened(HEALTHY, "age")
    bright = np.array([np.percentile(samples.read(i), 95) for i in range(len(samples))])
    site = np.array(samples.sites)
    means = [bright[site == name].mean() for name in np.unique(site)]
    assert max(means) > 1.1 * min(means)


# -- tumours -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def masks(heads):
    samples = heads.opened(TUMOURS, "mask", SEQUENCES)
    return samples, np.stack([samples.read_target(i) for i in range(len(samples))])


@pytest.mark.slow
def test_masks_are_of_patients_with_a_tumour_in_four_sequences(masks):
    samples, labels = masks
    assert samples.channels == SEQUENCES
    assert samples.read(0).shape == (4, 32, 32, 32)
    assert len(set(samples.patients)) == 15
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) <= {0, 1, 2, 3}
    # Every tumour is of a fair size: 1 ml is three voxels of 6.75 mm.
    assert (labels > 0).sum(axis=(1, 2, 3)).min() >= 3
    assert (labels == 3).any(axis=(1, 2, 3)).all()


@pytest.mark.slow
def test_regions_are_nested_and_lie_within_the_head(masks):
    samples, labels = masks
    regions = samples.task.regions
    whole, core, enhancing = (set(regions[name]) for name in ("WT", "TC", "ET"))
    assert enhancing < core < whole
    for i in range(len(samples)):
        assert samples.read(i).max(axis=0)[labels[i] > 0].min() > 0


@pytest.mark.slow
def test_oedema_is_bright_in_flair_and_enhancement_in_t1_with_contrast_agent(masks):
    samples, labels = masks
    gain = {"oedema": [], "enhancing": []}
    for i in range(len(samples)):
        scan = samples.read(i).astype(float)
        brain = scan[SEQUENCES.index("t1")] > 60
        for name, label, sequence in (("oedema", 2, "flair"), ("enhancing", 3, "t1ce")):
            if (labels[i] == label).sum() >= 5:
                shown = scan[SEQUENCES.index(sequence)]
                gain[name].append(shown[labels[i] == label].mean() / shown[brain].mean())
    assert np.median(gain["oedema"]) > 1.2
    assert np.median(gain["enhancing"]) > 1.2


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"no target; write phantom3d,target=age\|sex\|tumour\|mask"),
        ({"target": "weight"}, "unknown target weight"),
        ({"target": "age", "size": 20}, "size=20: write a size from 32 to 96"),
        ({"target": "age", "patients": 3}, "patients=3: 20 or more are needed"),
    ],
)
def test_what_cannot_be_made_is_refused_with_what_to_type(options, message):
    with pytest.raises(UsageError, match=message):
        HeadOptions(**options)


def test_one_healthy_cohort_serves_age_and_sex_and_one_with_tumours_the_others():
    recipes = {target: HeadOptions(target).recipe for target in ("age", "sex", "tumour", "mask")}
    assert recipes["age"] == recipes["sex"] != recipes["tumour"] == recipes["mask"]
    with pytest.raises(LookupError, match="no member"):
        list(resolve_heads("x", HeadOptions("age")))


def test_large_volumes_are_of_fewer_people_unless_more_are_asked_for():
    asked = [("auto", 32), ("auto", 64), ("auto", 65), ("auto", 96), (300, 96), (40, 32)]
    counts = [HeadOptions("age", size, patients).recipe.patients for patients, size in asked]
    assert counts == [300, 300, 150, 150, 300, 40]
