"""Volumes that cannot be trained as they are: one clear line each, and nothing is dropped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mritk import Augmentation, DataError, Dataset, UsageError
from mritk.evaluate.metrics import find_metric
from mritk.machine import host_memory
from mritk.plugins.registry import Registry
from mritk.splits.split_rule import SplitRule
from mritk.splits.splits import make_folds
from mritk.study.refusals import require_fit
from mritk_folders.nifti import read_volume
from tests.plugins.volumes.conftest import COUNT, draw_balls

BALLS = Dataset("balls", lambda workspace: draw_balls())
NONE = Augmentation("none", None)


def saved(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(values, np.eye(4) if affine is None else affine), path)
    return path


def fits(samples, name: str, registry: Registry) -> None:
    require_fit(BALLS, samples, registry.backbone(name), NONE, registry)


def test_a_series_of_volumes_in_one_file(tmp_path):
    path = saved(tmp_path / "bold.nii.gz", np.ones((4, 5, 6, 40), np.float32))
    with pytest.raises(DataError, match=r"\(4, 5, 6, 40\), a series of volumes"):
        read_volume(path)


def test_voxels_that_are_no_numbers_are_outside(tmp_path):
    values = np.random.default_rng(0).uniform(1, 2, (4, 5, 6)).astype(np.float32)
    values[0] = np.nan
    found = read_volume(saved(tmp_path / "masked.nii.gz", values))
    assert (found == 0).sum() >= 30 and found.max() == 255
    with pytest.raises(DataError, match="contains only NaN"):
        read_volume(saved(tmp_path / "empty.nii.gz", np.full((4, 5, 6), np.nan, np.float32)))


def test_volumes_that_lie_otherwise_are_turned_to_one_orientation(tmp_path):
    values = np.random.default_rng(0).integers(1, 200, (4, 5, 6)).astype(np.uint8)
    upright = read_volume(saved(tmp_path / "ras.nii.gz", values))
    turned = nib.as_closest_canonical(nib.Nifti1Image(values, np.eye(4)))
    lying = np.asarray(turned.dataobj).transpose(1, 2, 0)[::-1]
    affine = np.array([[0, 0, 1, 0], [-1, 0, 0, 4], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    found = read_volume(saved(tmp_path / "other.nii.gz", np.ascontiguousarray(lying), affine))
    np.testing.assert_array_equal(found, upright)


def test_voxels_of_several_sizes_where_the_network_keeps_them(registry):
    spacing = np.ones((COUNT, 3))
    spacing[7] = (1.0, 1.0, 3.0)
    mixed = replace(draw_balls(), spacing=spacing)
    told = "1 × 1 × 1 mm of ball-00 and 1 × 1 × 3 mm of ball-07; resample the files"
    with pytest.raises(UsageError, match=f"sfcn@scratch keeps the spacing of volumes.*{told}"):
        fits(mixed, "sfcn", registry)
    fits(mixed, "small_cnn3d", registry)  # resizes
    fits(replace(mixed, spacing=spacing * 0 + 1.5), "sfcn", registry)
    rounded = np.ones((COUNT, 3))
    rounded[3] = 1.004
    fits(replace(mixed, spacing=rounded), "sfcn", registry)


def test_a_network_for_images_without_an_adapter(registry):
    with pytest.raises(UsageError, match=r"takes images, but balls contains volumes.*-b slices:"):
        fits(draw_balls(), "resnet18@scratch", registry)


def test_a_volume_larger_than_memory(tmp_path, monkeypatch):
    path = saved(tmp_path / "large.nii.gz", np.ones((4, 5, 6), np.float32))
    monkeypatch.setattr(host_memory, "available_bytes", lambda *arguments: 100)
    with pytest.raises(DataError, match=r"of memory, but 0\.0 GB are free"):
        read_volume(path)


def test_a_target_that_some_subjects_lack(tmp_path, registry, workspace):
    for number in range(3):
        saved(tmp_path / f"{number}.nii.gz", np.full((4, 5, 6), number + 1, np.float32))
    rows = ["path,label,patient", "0.nii.gz,50,a", "1.nii.gz,n/a,b", "2.nii.gz,60,c"]
    (tmp_path / "people.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(DataError, match=r"line 3.*label"):
        registry.dataset(f"manifest:{tmp_path}/people.csv,task=regression").open(workspace)


def test_a_site_with_one_subject_is_a_test_set_of_one():
    """Errors have a value there, correlations none, with the reason."""
    sites = ["alone"] + ["large", "small"] * ((COUNT - 1) // 2) + ["small"]
    samples = replace(draw_balls(), sites=sites)
    folds = list(make_folds(samples, SplitRule(scheme="site")))
    assert [len(fold.test) for fold in folds] == [1, 29, 30]
    score = np.array([2.0], np.float32)
    target = samples.targets[folds[0].test]
    assert find_metric("mae", samples.task).compute(target, score).value >= 0
    pearson = find_metric("pearson_r", samples.task).compute(target, score)
    assert np.isnan(pearson.value) and pearson.reason
