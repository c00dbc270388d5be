"""Metrics of maps: means over cases of what was measured on the map of each.

Scores of N cases are (N, columns) in the order of :data:`COLUMNS`, NaN where a case has no value.
"""

from __future__ import annotations

from mritk.evaluate.case_means import column, means_of_columns
from mritk.evaluate.metric import Metric
from mritk.evaluate.weighted import weighted

# Those that need a lesion.
LOCATED = ("pointing", "dice", "iou")
# Name of each column: heading, direction, lowest possible value.
KINDS: dict[str, tuple[str, bool | None, float]] = {
    "pointing": ("pointing", True, 0.0),
    "dice": ("Dice", True, 0.0),
    "iou": ("IoU", True, 0.0),
    "deletion": ("deletion", False, 0.0),
    "insertion": ("insertion", True, 0.0),
    "kept": ("kept", True, 0.0),
    "removed": ("removed", False, 0.0),
    "similarity": ("similarity", None, -1.0),
}
COLUMNS = tuple(KINDS)
CONTINUOUS = ("deletion", "insertion", "similarity")


MAP_METRICS: dict[str, Metric] = {
    name: weighted(
        name,
        label,
        higher,
        means_of_columns(column(number)),
        undefined="no case has a value",
        task="segmentation",
        bounds=(lowest, 1.0),
        continuous=name in CONTINUOUS,
    )
    for number, (name, (label, higher, lowest)) in enumerate(KINDS.items())
}
