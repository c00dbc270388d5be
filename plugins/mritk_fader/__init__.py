"""Fader networks over sites (Pominova et al. 2020, arXiv:2010.07233).

The method ``fader`` trains an autoencoder whose decoder is told the site of a scan, so that the
latent space need not hold it, and an adversary that looks for the site there. Classes are then told
by logistic regression on the latent values. docs/fader.md says what differs from the paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mritk import Method, ProtocolFile, hookimpl, lazy, packaged_text

PROTOCOLS = {
    "fader": ("an autoencoder without the site (after arXiv:2010.07233)", {}),
    "fader_plain": ("the same without an adversary", {"adversary_weight = 0.01": "0.0"}),
    "fader_all": ("the autoencoder sees the test images too", {'unlabelled = "train"': '"all"'}),
}


@hookimpl
def mritk_methods() -> Iterator[Method]:
    """Yield ``fader``."""
    yield Method(
        "fader",
        fit=lazy("mritk_fader.fader:fit_fader"),
        parameters=lazy("mritk_fader.recipe:FaderRecipe"),
        uses_backbone=False,
        uses_augmentation=False,
        tasks=("classification",),
        uses_unlabelled=True,
        summary="autoencoder with an adversary that looks for the site; logistic regression",
    )


@hookimpl
def mritk_protocols() -> Iterator[ProtocolFile]:
    """Yield ``fader``, and what it is compared with."""
    for name, (told, _) in PROTOCOLS.items():
        yield ProtocolFile(name, text=partial(protocol_text, name), summary=told)


def protocol_text(name: str) -> str:
    """Return the TOML text of a protocol; the others differ from ``fader`` in one value."""
    text = packaged_text(__package__, "protocols", "fader.toml")
    for line, value in PROTOCOLS[name][1].items():
        text = text.replace(line, f"{line.partition(' = ')[0]} = {value}")
    return text
