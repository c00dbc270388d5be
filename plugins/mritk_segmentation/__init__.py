"""Label maps: a plain U-Net and a threshold that predict them, and further metrics of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mritk import Method, Metric, ProtocolFile, hookimpl, lazy, packaged_text

NEITHER = "where neither label map has the region"
METRICS = (
    (
        "iou",
        "IoU",
        lazy("mritk_segmentation.overlap:iou"),
        NEITHER,
        "intersection over union (Jaccard)",
    ),
    (
        "nsd_1mm",
        "NSD 1 mm",
        lazy("mritk_segmentation.surface:nsd_1mm"),
        NEITHER,
        "surface within 1 mm of the other",
    ),
    (
        "nsd_2mm",
        "NSD 2 mm",
        lazy("mritk_segmentation.surface:nsd_2mm"),
        NEITHER,
        "surface within 2 mm of the other",
    ),
    (
        "nsd_5mm",
        "NSD 5 mm",
        lazy("mritk_segmentation.surface:nsd_5mm"),
        NEITHER,
        "surface within 5 mm of the other",
    ),
    (
        "lesion_dice",
        "lesion Dice",
        lazy("mritk_segmentation.lesions:lesion_dice"),
        NEITHER,
        "Dice lesion by lesion",
    ),
    (
        "lesion_f1",
        "lesion F1",
        lazy("mritk_segmentation.lesions:lesion_f1"),
        NEITHER,
        "F1 of lesions that are touched",
    ),
    (
        "lesion_sensitivity",
        "lesion sensitivity",
        lazy("mritk_segmentation.lesions:lesion_sensitivity"),
        "where the reference lacks the region",
        "share of lesions that are touched",
    ),
)


@hookimpl
def mritk_metrics() -> Iterator[Metric]:
    """Yield metrics that are measured on label maps, region by region."""
    for name, label, measure, undefined, told in METRICS:
        yield Metric(
            name,
            label,
            True,
            measure=measure,
            task="segmentation",
            bounds=(0.0, 1.0),
            undefined=undefined,
            summary=f"{told}, mean over cases and regions",
        )


@hookimpl
def mritk_methods() -> Iterator[Method]:
    """Yield ``unet3d`` and ``threshold``, each with its own model."""
    yield Method(
        "unet3d",
        fit=lazy("mritk_segmentation.unet3d:fit_unet3d"),
        parameters=lazy("mritk_segmentation.unet_recipe:UNetRecipe"),
        uses_backbone=False,
        uses_augmentation=False,
        tasks=("segmentation",),
        summary="a plain U-Net of three levels",
    )
    yield Method(
        "threshold",
        fit=lazy("mritk_segmentation.threshold:fit_threshold"),
        parameters=lazy("mritk_segmentation.threshold:NoParameters"),
        uses_backbone=False,
        uses_augmentation=False,
        tasks=("segmentation",),
        summary="one level in one channel: a baseline",
    )


@hookimpl
def mritk_protocols() -> Iterator[ProtocolFile]:
    """Yield a protocol of each method."""
    for name, told in (
        ("unet3d", "a plain U-Net on volumes of 48 voxels: minutes on two cores"),
        ("threshold", "one level in one channel, on the same volumes"),
    ):
        text = partial(packaged_text, __package__, "protocols", f"{name}.toml")
        yield ProtocolFile(name, text, summary=told)
