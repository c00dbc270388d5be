"""Checks of what is measured on a GPU: BatchNorm's statistics, and how long one image takes.

As in :mod:`benchmarks.speed.gpu_checks`, and to be run beside them.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.speed.gpu_checks import Check, Found, close
from benchmarks.speed.gpu_scene import Scene, float32_as_such, trained
from mritk.model.latency import measure_latency
from mritk.protocol.recipe import Recipe
from mritk.train.training import prepare


def recalibrated_as_on_a_cpu(scene: Scene) -> Found:
    """The outputs of an untrained network with recalibrated norms agree with those of the CPU."""
    setup = scene.setup(recipe=Recipe(recalibrate_batch_norm=True), precision="float32")
    with float32_as_such():
        here = trained(setup).scores
    return close(here, trained(replace(setup, device="cpu")).scores, 1e-2)


def latency_waits_for_the_result(scene: Scene) -> Found:
    """One image of many times the pixels takes longer, which calls that do not wait would not."""
    network = prepare(scene.setup(precision="float32")).network
    small, large = (measure_latency(network, (3, side, side)) for side in (32, 1024))
    if small is None or large is None:
        return Found("it cannot be measured", False)
    ratio = large / small
    return Found(f"1,024 times the pixels take {ratio:.1f} times as long", ratio > 1.5)


# Name, seconds that it may take on a GPU, check.
MEASURED: tuple[tuple[str, int, Check], ...] = (
    ("recalibrated norms, GPU and CPU", 15, recalibrated_as_on_a_cpu),
    ("latency waits for the result", 10, latency_waits_for_the_result),
)
