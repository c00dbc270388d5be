"""How many trials this machine trains at once where nobody has said so."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from mritk.images.decoded_size import sides_of_first
from mritk.images.grid import Grid
from mritk.machine.cores import available_cores, stated_threads
from mritk.machine.host_memory import available_bytes
from mritk.protocol.recipe import Probe
from mritk.trial import Trial

# What a process takes before its first batch: libraries, network, optimiser.
OF_A_PROCESS = 3 << 29
# What one training step keeps for each pixel or voxel of a batch in float32, for backward: 1.7 kB
# in ResNet-50, 2.2 in ConvNeXt-Tiny, 2.6 in DenseNet-121 and 3.1 in EfficientNetV2-S at 224 px, by
# mritk.train.memory; and a margin. Each process estimates its own need from its network and divides
# batches that do not fit.
PER_PIXEL = 4 << 10
# Pixels that all trials show their networks together. In the 9 s before the first of several
# processes has trained a tiny network, linear_pixels sees over 100 million in this one, and
# efficientnet_lite0 4 million (2 cores of an Intel Xeon, 2026-11-28).
WORTH_IT = 50_000_000


def trials_at_once(trials: Sequence[Trial], device: str) -> int | None:
    """Return how many of these trials to train at once, each in a process of its own.

    One per GPU; on a single GPU None: in this process, as many as pay. On processors, one per core
    while memory lasts: a step on a small batch keeps one core busy, but seldom two. Trials that are
    over before processes have started run in this one.

    Args:
        trials: All trials of the run, done or not: the cores of each depend on the number, and the
            scores, by rounding, on the cores.
        device: As ``mritk run --device`` takes it.
    """
    from mritk.machine.device import gpus_of  # late: torch takes seconds

    gpus = gpus_of(device)
    if gpus == 1:
        return None
    if gpus:
        return max(1, min(gpus, len(trials)))
    if sum(map(_pixels_of, trials)) < WORTH_IT:
        return 1
    most = available_cores() // max(1, stated_threads(os.environ))
    free = available_bytes()
    if free is not None:
        most = min(most, free // max(map(host_bytes, trials), default=1))
    return max(1, min(most, len(trials)))


def host_bytes(trial: Trial) -> int:
    """Return about what training a trial takes in its process."""
    batch = getattr(trial.protocol.parameters, "batch_size", 1)
    return OF_A_PROCESS + PER_PIXEL * batch * _pixels_of_input(trial)


def _pixels_of(trial: Trial) -> int:
    """Return how many pixels or voxels the trial's network is shown in training.

    A probe's is shown none: all trials share its features, and processes would wait for the one
    that computes them, on a part of the cores.
    """
    recipe = trial.protocol.parameters
    if isinstance(recipe, Probe):
        return 0
    stages = getattr(recipe, "stages", ()) or (recipe,)
    epochs = sum(getattr(stage, "epochs", 1) for stage in stages)
    return epochs * len(trial.division.train) * _pixels_of_input(trial)


def _pixels_of_input(trial: Trial) -> int:
    """Return the pixels or voxels of one input; 0 without a grid."""
    samples = trial.dataset.samples
    dims = samples.spatial_dims
    if dims is None:
        return 0
    return math.prod(Grid(trial.input_size).sides(dims) or sides_of_first(samples))
