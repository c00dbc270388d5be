"""The pose of volumes: turned about each axis, shifted and zoomed as scipy does it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation

from mritk_augment.affine import AffineRanges, affine, resample
from mritk_augment.pose import random_poses, rotations

STILL = {"shear": 0, "brightness": 0, "contrast": 0}


def volumes(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draws(seed: int) -> np.ndarray:
    """The seven draws of one volume in [-1, 1): three angles, zoom, three shifts."""
    generator = seeded(seed)
    return np.array([2 * float(torch.rand(1, generator=generator)) - 1 for _ in range(7)])


def test_turns_are_those_of_scipy():
    angles = torch.linspace(-1, 1, 12).reshape(3, 4)
    expected = Rotation.from_euler("xyz", angles.T.numpy()).as_matrix()
    np.testing.assert_allclose(rotations(*angles).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(10, 10, 10), (8, 12, 10)])
@pytest.mark.parametrize(("rotation", "zoom", "shift"), [(0, 0.3, 0), (0, 0, 0.2), (40, 0.2, 0.1)])
def test_volumes_of_any_shape_are_moved_rigidly_as_scipy_moves_them(shape, rotation, zoom, shift):
    volume = volumes(1, 1, *shape)
    ranges = AffineRanges(rotation=rotation, zoom=zoom, shift=shift, **STILL)
    moved = affine(volume, seeded(3), ranges)[0, 0].numpy()

    told = draws(3)
    turned = Rotation.from_euler("xyz", told[:3] * math.radians(rotation)).as_matrix()
    # scipy counts in voxels and the first axis first; torch in half sides and the last one first.
    linear = turned[::-1, ::-1] / (1 + told[3] * zoom)
    centre = (np.array(shape) - 1) / 2
    offset = centre - linear @ centre + (told[4:] * shift)[::-1] * shape
    # A border of black voxels, so that both interpolate between the edge and the outside.
    offset = offset + 1 - linear @ np.ones(3)
    padded = np.pad(volume[0, 0].numpy(), 1)
    expected = ndimage.affine_transform(padded, linear, offset, order=1, mode="constant")
    np.testing.assert_allclose(moved, expected[1:-1, 1:-1, 1:-1], atol=1e-5)


def test_each_volume_of_a_batch_has_a_pose_of_its_own():
    batch = volumes(1, 1, 6, 6, 6).repeat(8, 1, 1, 1, 1)
    poses = random_poses(batch, seeded(0), AffineRanges())
    assert poses.shape == (8, 3, 4)
    assert len({tuple(v.flatten().tolist()) for v in resample(batch, poses)}) == 8
