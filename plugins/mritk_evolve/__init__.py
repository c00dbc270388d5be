"""Deep neuroevolution (Purkayastha et al. 2022, arXiv:2211.14499): training without gradients.

The method ``evolve`` mutates all weights of a parent, scores the children by their accuracy on the
training images, and folds the mutations of the fittest into the next parent. ``plain_cnn`` is a
network small enough for that. The protocol ``neuroblastoma`` is the paper's as far as it is
published; docs/neuroblastoma.md says how far that is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mritk import (
    Architecture,
    InputContract,
    Method,
    ProtocolFile,
    hookimpl,
    lazy,
    packaged_text,
)

CONTROL = "neuroblastoma_random"
PROTOCOLS = {
    "neuroblastoma": "neuroevolution of a small network (after arXiv:2211.14499)",
    CONTROL: "the same with mutations accepted at random: the control",
    "neuroblastoma_gradient": "the same network trained by gradients",
}


@hookimpl
def mritk_backbones() -> Iterator[Architecture]:
    """Yield ``plain_cnn``."""
    yield Architecture(
        "plain_cnn",
        lazy("mritk_evolve.plain_cnn:build"),
        InputContract(None, (0.5,), (0.25,), minimum=8),
        summary="4 convolutions without BatchNorm, 64 features, 5,888 weights",
    )


@hookimpl
def mritk_methods() -> Iterator[Method]:
    """Yield ``evolve``."""
    yield Method(
        "evolve",
        fit=lazy("mritk_evolve.evolution:fit_evolve"),
        parameters=lazy("mritk_evolve.parameters:Evolution"),
        uses_augmentation=False,
        tasks=("classification",),
        check_backbone=lazy("mritk_evolve.genome:require_evolvable"),
        summary="neuroevolution: mutated weights, selected by training accuracy; no gradients",
    )


@hookimpl
def mritk_protocols() -> Iterator[ProtocolFile]:
    """Yield ``neuroblastoma``, and what it is compared with."""
    for name, summary in PROTOCOLS.items():
        yield ProtocolFile(name, text=partial(protocol_text, name), summary=summary)


def protocol_text(name: str) -> str:
    """Return the TOML text of a protocol; the control differs from ``neuroblastoma`` in one key."""
    file = "neuroblastoma" if name == CONTROL else name
    text = packaged_text(__package__, "protocols", f"{file}.toml")
    return text + 'acceptance = "random"\n' if name == CONTROL else text
