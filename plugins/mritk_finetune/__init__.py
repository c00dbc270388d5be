"""The methods ``finetune`` and ``linear_probe``, the stock protocols, and ``quickstart``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from mritk import BenchmarkFile, Method, ProtocolFile, hookimpl, lazy, packaged_text

if TYPE_CHECKING:
    from mritk import Fitted, Setup

TASKS = ("classification", "regression")
PROTOCOLS = {
    "quick": "two short stages at 96 px: minutes on a CPU, for exploration",
    "standard": "two stages at 224 px, AdamW, cosine, selection on validation",
    "linear_probe": "logistic regression on features of the frozen backbone at 224 px",
    "lpft": "linear probe, then the whole network at a small rate, at 224 px (LP-FT)",
}


@hookimpl
def mritk_methods() -> Iterator[Method]:
    """Yield the two methods."""
    yield Method(
        "finetune",
        fit=fit_finetune,
        parameters=lazy("mritk.train:Recipe"),
        tasks=TASKS,
        summary="fine-tune head and backbone in stages",
    )
    yield Method(
        "linear_probe",
        fit=lazy("mritk_finetune.probe:fit_probe"),
        parameters=lazy("mritk.train:Probe"),
        uses_augmentation=False,
        tasks=TASKS,
        summary="penalised linear model on cached features",
    )


@hookimpl
def mritk_protocols() -> Iterator[ProtocolFile]:
    """Yield the stock protocols."""
    for name, summary in PROTOCOLS.items():
        text = partial(packaged_text, __package__, "protocols", f"{name}.toml")
        yield ProtocolFile(name, text, summary=summary)


@hookimpl
def mritk_benchmarks() -> Iterator[BenchmarkFile]:
    """Yield the benchmark of ``mritk run`` without options."""
    text = partial(packaged_text, __package__, "benchmarks", "quickstart.toml")
    yield BenchmarkFile("quickstart", text, summary="pixels against a pretrained network")


def fit_finetune(setup: Setup) -> Fitted:
    """Train by :func:`mritk.train.finetune`."""
    from mritk.train import finetune

    return finetune(setup)
