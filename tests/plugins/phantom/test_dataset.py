"""What a user of ``phantom`` gets."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

import mritk_phantom
from mritk import DataError, Dataset, Unavailable, Workspace
from mritk_phantom import anatomy
from mritk_phantom.cohort import cohort
from mritk_phantom.heads.family import HeadOptions, resolve_heads
from mritk_phantom.recipe import CLASSES, Recipe


def test_the_plugin_offers_phantom_and_a_larger_one():
    records = {r.name: r for r in mritk_phantom.mritk_datasets() if isinstance(r, Dataset)}
    assert set(records) == {"phantom", "phantom_large"}
    assert all(record.sources == ("mni152",) and record.summary for record in records.values())


def test_importing_the_plugin_is_cheap():
    heavy = "{'numpy', 'scipy', 'nilearn', 'torch', 'PIL'}"
    code = (
        "import mritk_phantom as m, sys; list(m.mritk_datasets()); "
        f"print({heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_slices_are_grey_images_with_a_black_background(small):
    images = small.images
    assert images.shape == (48, 64, 64) and images.dtype == np.uint8
    assert (images[:, :2, :2] == 0).all()
    brain = (images > 0).mean(axis=(1, 2))
    assert (brain > 0.15).all() and (brain < 0.75).all()
    medians = np.array([np.median(image[image > 0]) for image in images])
    assert (medians > 80).all() and (medians < 160).all()
    assert all(image.std() > 20 for image in images)


def test_every_patient_has_two_slices_of_each_plane_and_one_class(small):
    samples = small.samples
    assert samples.task.classes == CLASSES == ("glioma", "meningioma", "none", "pituitary")
    assert set(Counter(samples.patients).values()) == {6}
    assert set(Counter((r["patient"], r["plane"]) for r in small.rows).values()) == {2}
    for patient in set(samples.patients):
        rows = [i for i, p in enumerate(samples.patients) if p == patient]
        assert len(set(samples.targets[rows])) == 1 and len({samples.sites[i] for i in rows}) == 1
    assert samples.splits is None and samples.sources is None


def test_ids_are_unique_and_do_not_contain_the_class(small):
    ids = small.samples.ids
    assert len(set(ids)) == len(ids)
    assert ids[0].startswith("patient-0000/sagittal-")
    assert not any(name in i for i in ids for name in CLASSES)


def test_every_class_is_scanned_equally_often_at_every_site():
    pairs = Counter((p.target, p.site) for p in cohort(80, seed=152))
    assert len(pairs) == 16 and set(pairs.values()) == {5}
    for run in range(0, 80, 4):
        assert {p.target for p in cohort(80, seed=152)[run : run + 4]} == {0, 1, 2, 3}


def test_the_cohort_is_shuffled_and_does_not_depend_on_its_length():
    assert cohort(16, seed=152) == cohort(80, seed=152)[:16]
    orders = {tuple(p.target for p in cohort(80, seed=152)[r : r + 4]) for r in range(0, 80, 4)}
    assert len(orders) > 8


@pytest.mark.parametrize(
    "values", [{"patients": 6}, {"patients": 0}, {"size": 4}, {"resolution": 9}]
)
def test_a_recipe_that_cannot_work_is_refused(values):
    with pytest.raises(DataError, match=r"phantom|must be"):
        Recipe(**values)


def test_without_nilearn_the_message_says_what_to_type(monkeypatch, tmp_path):
    anatomy.load_anatomy.cache_clear()
    monkeypatch.setitem(sys.modules, "nilearn", None)
    with pytest.raises(Unavailable, match=r"python -m pip install 'mritk-bench\[phantom\]'"):
        next(mritk_phantom.mritk_datasets()).open(Workspace(tmp_path))
    heads = next(resolve_heads("", HeadOptions("age")))
    for dataset in (*list(mritk_phantom.mritk_datasets())[:2], heads):
        with pytest.raises(Unavailable, match=r"mritk-bench\[phantom\]"):
            dataset.is_generated(Workspace(tmp_path))
    assert not [p for p in (tmp_path / "phantom").iterdir() if p.is_dir()]
