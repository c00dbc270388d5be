"""Where the tests of CUDA paths train.

Those marked ``gpu`` run where there is one: ``pytest -m gpu tests/gpu``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
import torch

from mritk import Workspace
from tests.gpu.scene import Scene

GPU = pytest.param("cuda", marks=pytest.mark.gpu)
# Whole batches in every epoch: three quarters of the images train.
SMALL = {"backbone": "small_cnn", "without_batch_norm": "small_cnn", "size": 16, "images": 64}
# At this size images take the memory, and not what libraries need to work.
ROOMY = {"size": 224, "images": 512, "batch": 64}


@pytest.fixture
def scene_on(tmp_path, record_property) -> Iterator[Callable[..., Scene]]:
    """Make a scene on a device; what it measures is in the report of the test."""
    measured: list[str] = []

    def make(device: str, **sizes) -> Scene:
        if device == "cpu":
            sizes = {**SMALL, "batch": 8, **sizes}
        else:
            # torch reads it once, when it first multiplies matrices, and determinism needs it.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            device = f"cuda:{torch.cuda.current_device()}"
        return Scene(device, Workspace(tmp_path), **sizes, measured=measured)

    yield make
    record_property("measured", "; ".join(measured))
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@pytest.fixture
def on_cpu(scene_on) -> Scene:
    """A scene on the CPU."""
    return scene_on("cpu")


@pytest.fixture(params=[GPU])
def on_gpu(request, scene_on) -> Scene:
    """A scene on a GPU."""
    return scene_on(request.param)


@pytest.fixture(params=[GPU])
def roomy(request, scene_on) -> Scene:
    """A scene on a GPU with large images."""
    return scene_on(request.param, **ROOMY)


@pytest.fixture(params=["cpu", GPU])
def scene(request, scene_on) -> Scene:
    """A scene on the CPU, and one on a GPU."""
    return scene_on(request.param)
