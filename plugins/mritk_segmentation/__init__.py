"""Label maps: a plain U-Net and a threshold that predict them, and further metrics of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mritk import Method, Metric, ProtocolFile, hookimpl, lazy, packaged_text

NEITHER = "where neither label map has the region"
UNDEFINED = {"lesion_sensitivity": "where the reference lacks the region"}
# Of the function that bears the metric's name: its label in tables, and what it measures.
METRICS = {
    lazy("mritk_segmentation.overlap:iou"): ("IoU", "intersection over union (Jaccard)"),
    lazy("mritk_segmentation.surface:nsd_1mm"): ("NSD 1 mm", "surface within 1 mm of the other"),
    lazy("mritk_segmentation.surface:nsd_2mm"): ("NSD 2 mm", "surface within 2 mm of the other"),
    lazy("mritk_segmentation.surface:nsd_5mm"): ("NSD 5 mm", "surface within 5 mm of the other"),
    lazy("mritk_segmentation.lesions:lesion_dice"): ("lesion Dice", "Dice lesion by lesion"),
    lazy("mritk_segmentation.lesions:lesion_f1"): ("lesion F1", "F1 of lesions that are touched"),
    lazy("mritk_segmentation.lesions:lesion_sensitivity"): (
        "lesion sensitivity",
        "share of lesions that are touched",
    ),
}


@hookimpl
def mritk_metrics() -> Iterator[Metric]:
    """Yield metrics that are measured on label maps, region by region."""
    for measure, (label, told) in METRICS.items():
        name = measure.__qualname__
        yield Metric(
            name,
            label,
            True,
            measure=measure,
            task="segmentation",
            bounds=(0.0, 1.0),
            undefined=UNDEFINED.get(name, NEITHER),
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
