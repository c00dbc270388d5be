"""nnU-Net (Isensee et al. 2021, Nature Methods 18:203-211) as an entrant, in its own environment.

The method ``nnunet`` writes training and validation cases as a raw dataset of nnU-Net, lets it
plan, preprocess, train and predict, and reads its epochs, plans and label maps back.
``MRITK_NNUNET`` names the environment that has nnunetv2; mritk's own is not touched. docs/nnunet.md
says how it is set up.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mritk import Method, ProtocolFile, hookimpl, lazy, packaged_text

PROTOCOLS = {
    "nnunet": "nnU-Net as published: 3d_fullres, 1000 epochs",
    "nnunet_small": "nnU-Net without augmentation, few features and epochs: minutes on a CPU",
}


@hookimpl
def mritk_methods() -> Iterator[Method]:
    """Yield ``nnunet``."""
    yield Method(
        "nnunet",
        fit=lazy("mritk_nnunet.training:fit_nnunet"),
        parameters=lazy("mritk_nnunet.recipe:NnunetRecipe"),
        uses_backbone=False,
        uses_augmentation=False,
        tasks=("segmentation",),
        summary="nnU-Net in its own environment (MRITK_NNUNET); not deterministic",
    )


@hookimpl
def mritk_protocols() -> Iterator[ProtocolFile]:
    """Yield ``nnunet`` and ``nnunet_small``."""
    for name, summary in PROTOCOLS.items():
        yield ProtocolFile(
            name, partial(packaged_text, __package__, "protocols", f"{name}.toml"), summary=summary
        )
