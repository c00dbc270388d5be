"""Label maps: further metrics of them."""

from __future__ import annotations

from collections.abc import Iterator

from mritk import Metric, hookimpl, lazy

NEITHER = "where neither label map has the region"
METRICS = (
    ("iou", "IoU", "overlap:iou", NEITHER, "intersection over union (Jaccard)"),
    ("nsd_1mm", "NSD 1 mm", "surface:nsd_1mm", NEITHER, "surface within 1 mm of the other"),
    ("nsd_2mm", "NSD 2 mm", "surface:nsd_2mm", NEITHER, "surface within 2 mm of the other"),
    ("nsd_5mm", "NSD 5 mm", "surface:nsd_5mm", NEITHER, "surface within 5 mm of the other"),
    ("lesion_dice", "lesion Dice", "lesions:lesion_dice", NEITHER, "Dice lesion by lesion"),
    ("lesion_f1", "lesion F1", "lesions:lesion_f1", NEITHER, "F1 of lesions that are touched"),
    (
        "lesion_sensitivity",
        "lesion sensitivity",
        "lesions:lesion_sensitivity",
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
            measure=lazy(f"{__name__}.{measure}"),
            task="segmentation",
            bounds=(0.0, 1.0),
            undefined=undefined,
            summary=f"{told}, mean over cases and regions",
        )
