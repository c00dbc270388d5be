"""A label for every voxel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from mritk.errors import DataError
from mritk.tasks.task import Task, names_of

LARGEST_LABEL = 255
MEASURES = ("dice", "hd95")


@dataclass(frozen=True)
class Segmentation(Task):
    """The target is a label map, which ``Samples.read_target`` reads.

    A method predicts label maps. mritk compares each to its reference, region by region, and the
    results, one row per case, are the scores: metrics are means over cases.

    Attributes:
        labels: Names of the values 0, 1, … of a label map; 0 is background.
        regions: The regions that are evaluated: name, and the labels whose union it is. Empty:
            every label but the background.
    """

    labels: tuple[str, ...]
    regions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kind: ClassVar[str] = "segmentation"
    has_target_maps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse labels and regions that name nothing, or one thing twice."""
        object.__setattr__(self, "labels", names_of("labels", self.labels))
        if not 2 <= len(self.labels) <= LARGEST_LABEL + 1 or len(set(self.labels)) < len(
            self.labels
        ):
            raise DataError(
                "a segmentation needs 2 to 256 unique labels, the first of which is background; "
                f"got {', '.join(self.labels) or 'none'}"
            )
        regions = {name: names_of(f"region {name}", of) for name, of in self.regions.items()}
        for name, members in regions.items():
            if not members or not set(members) <= set(self.labels[1:]):
                raise DataError(
                    f"region {name} must be a union of labels ({', '.join(self.labels[1:])}); "
                    f"got {', '.join(members) or 'none'}"
                )
        regions = regions or {name: (name,) for name in self.labels[1:]}
        object.__setattr__(self, "regions", MappingProxyType(regions))

    def __hash__(self) -> int:
        return hash((self.labels, frozenset(self.regions.items())))  # equal in any order

    def __reduce__(self) -> tuple[Any, ...]:
        return Segmentation, (self.labels, dict(self.regions))

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]  # computed
        """What is measured of each case: ``dice[WT]``, …, ``hd95[WT]``, …"""
        return tuple(f"{measure}[{region}]" for measure in MEASURES for region in self.regions)

    @property
    def outputs(self) -> int:
        """Number of labels, the background included."""
        return len(self.labels)

    def values_of(self, region: str) -> tuple[int, ...]:
        """Return the values of a label map that belong to a region."""
        return tuple(self.labels.index(label) for label in self.regions[region])

    def checked_targets(self, targets: np.ndarray, n: int) -> np.ndarray:
        """Return (n,) zeros: the targets are the label maps; see :meth:`Task.checked_targets`."""
        if targets.any():
            raise DataError("the targets of a segmentation are label maps: give 'read_target'")
        return np.zeros(n, dtype=np.float64)

    def score_shape(self, n: int) -> tuple[int, ...]:
        """Return (n, number of columns); see :mod:`mritk.evaluate.cases`."""
        return (n, len(self.columns))

    def describe(self) -> str:
        """Name the regions of the label maps."""
        return f"label maps of {', '.join(self.regions)}"

    def identity(self) -> tuple[str, ...]:
        """Return labels and regions."""
        return (*self.labels, *(f"{name}={'+'.join(of)}" for name, of in self.regions.items()))

    def as_dict(self) -> dict[str, Any]:
        """Return kind, labels and regions."""
        regions = {name: list(members) for name, members in self.regions.items()}
        return {"kind": self.kind, "labels": list(self.labels), "regions": regions}
