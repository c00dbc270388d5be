"""The methods ``finetune`` and ``linear_probe``, and the stock protocols."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING

from mritk import Method, ProtocolFile, hookimpl
from mritk.train import Probe, Recipe

if TYPE_CHECKING:
    from mritk import Fitted, Setup

PROTOCOLS = {
    "quick": "two short stages at 96 px: minutes on a CPU, for exploration",
    "standard": "two stages at 224 px, AdamW, cosine, selection on validation",
    "linear_probe": "logistic regression on features of the frozen backbone at 224 px",
}


@hookimpl
def mritk_methods() -> Iterator[Method]:
    """Yield the two methods."""
    yield Method(
        "finetune",
        fit=fit_finetune,
        parameters=Recipe,
        summary="fine-tune head and backbone in stages",
    )
    yield Method(
        "linear_probe",
        fit=fit_linear_probe,
        parameters=Probe,
        uses_augmentation=False,
        summary="penalised linear model on cached features",
    )


@hookimpl
def mritk_protocols() -> Iterator[ProtocolFile]:
    """Yield the stock protocols."""
    for name, summary in PROTOCOLS.items():
        yield ProtocolFile(name, text=partial(read_protocol_text, name), summary=summary)


def read_protocol_text(name: str) -> str:
    """Return the TOML text of a stock protocol."""
    return (files(__package__) / "protocols" / f"{name}.toml").read_text(encoding="utf-8")


def fit_finetune(setup: Setup) -> Fitted:
    """Train by :func:`mritk.train.finetune`."""
    from mritk.train import finetune

    return finetune(setup)


def fit_linear_probe(setup: Setup) -> Fitted:
    """Train by :func:`mritk_finetune.probe.fit_probe`."""
    from mritk_finetune.probe import fit_probe

    return fit_probe(setup)
