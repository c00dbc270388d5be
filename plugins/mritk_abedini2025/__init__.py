"""Abedini et al. (2025, arXiv:2511.18326): its protocol as published, and corrected.

The study compares ConvNeXt-Tiny and EfficientNetV2-S pretrained on ImageNet with RadImageNet's
DenseNet121 on two public sets of brain tumours. What it did is written here from its published
notebooks; docs/abedini2025.md says what is repeated, what was corrected, and what is not repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mritk import Augmentation, ProtocolFile, hookimpl, lazy, packaged_text

PROTOCOLS = {
    "abedini2025_replica": "Abedini et al. 2025 as published, including selection on the test set",
    "abedini2025_corrected": "Abedini et al. 2025 with its flaws corrected",
}


@hookimpl
def mritk_augmentations() -> Iterator[Augmentation]:
    """Yield the study's augmentation, with and without its contrast that only training has."""
    yield Augmentation(
        "abedini2025",
        lazy("mritk_abedini2025.augmentation:moved"),
        summary="rotation, shift, zoom, brightness in the ranges of Abedini et al. 2025",
    )
    yield Augmentation(
        "abedini2025_replica",
        lazy("mritk_abedini2025.augmentation:moved_with_contrast"),
        summary="the same, then fixed contrast, unclipped, as applied to its training images only",
        revision=2,
    )


@hookimpl
def mritk_protocols() -> Iterator[ProtocolFile]:
    """Yield the two protocols."""
    for name, summary in PROTOCOLS.items():
        text = partial(packaged_text, __package__, "protocols", f"{name}.toml")
        yield ProtocolFile(name, text, summary=summary)
