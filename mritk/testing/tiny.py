"""Small things to test plugins with: a dataset, a backbone, parts of the data."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mritk.data.samples import Samples
from mritk.images.input_contract import InputContract
from mritk.records import Architecture, Dataset
from mritk.tasks.classification import Classification
from mritk.tasks.regression import Regression
from mritk.tasks.segmentation import Segmentation
from mritk.tasks.task import Task

if TYPE_CHECKING:
    import torch

    from mritk.files.workspace import Workspace

SIDE = 32
CLASSES = ("top", "middle", "bottom")


def _images(thirds: np.ndarray, spatial_dims: int, seed: int) -> np.ndarray:
    """Return noise with a bright band in the upper, middle or lower third, (N, *spatial) uint8."""
    shape = (len(thirds), *(SIDE,) * spatial_dims)
    images = np.random.default_rng(seed).integers(0, 80, shape, np.uint8)
    for image, third in zip(images, thirds, strict=True):
        image[10 * third : 10 * third + 10] += 120
    return images


def tiny_samples(
    count: int = 36, *, regression: bool = False, spatial_dims: int = 2, seed: int = 0
) -> Samples:
    """Return ``count`` easy images or volumes of side 32, three per patient, three classes.

    The class is where a bright band lies; with ``regression`` its number is the value.
    """
    classes = np.arange(count) % 3
    task: Task = Regression("rows") if regression else Classification(CLASSES)
    return Samples(
        ids=[f"image-{i:03d}" for i in range(count)],
        targets=classes.astype(np.float64) if regression else classes,
        task=task,
        read=_images(classes, spatial_dims, seed).__getitem__,
        spatial_dims=spatial_dims,
        patients=[f"patient-{i // 3:02d}" for i in range(count)],
    )


def _band(thirds: np.ndarray, i: int) -> np.ndarray:
    """Return the label map of such an image: 1 in the band."""
    label_map = np.zeros((SIDE, SIDE), np.uint8)
    label_map[10 * thirds[i] : 10 * thirds[i] + 10] = 1
    return label_map


def tiny_label_maps(count: int = 36, *, seed: int = 0) -> Samples:
    """Return the images of :func:`tiny_samples` with label maps, uint8 (32, 32), of their bands."""
    samples = tiny_samples(count, seed=seed)
    task = Segmentation(("background", "band"))
    bands = partial(_band, samples.targets)
    return replace(samples, targets=np.empty(0), task=task, read_target=bands)


def tiny_dataset() -> Dataset:
    """Return the dataset ``tiny``: 36 images of 12 patients in three classes."""
    return Dataset("tiny", _open, summary="bright bands", license="CC0-1.0", sources=("made up",))


def _open(workspace: Workspace) -> Samples:
    return tiny_samples()


def tiny_architecture(spatial_dims: int = 2) -> Architecture:
    """Return the architecture ``tiny``: one convolution and pooling, for side 32."""
    grey = InputContract(SIDE, (0.5,), (0.5,))
    return Architecture("tiny", partial(_build, spatial_dims), grey, spatial_dims=spatial_dims)


def _build(spatial_dims: int) -> torch.nn.Module:
    from torch import nn

    convolution = nn.Conv2d if spatial_dims == 2 else nn.Conv3d
    pooling = nn.AdaptiveAvgPool2d if spatial_dims == 2 else nn.AdaptiveAvgPool3d
    return nn.Sequential(convolution(1, 8, 5, 4), nn.ReLU(), pooling(2), nn.Flatten())
