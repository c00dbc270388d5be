"""What a phantom of heads is a function of, and the name of its cache folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

# Raise this with every change that alters a voxel: caches of older versions then stay unused.
GENERATOR_VERSION = 2

SEQUENCES = ("t1", "t1ce", "t2", "flair")
SIZES = (32, 96)
# Side of the cube that a volume shows, in mm.
FIELD_OF_VIEW = 216.0

Cohort = Literal["healthy", "tumour"]


@dataclass(frozen=True)
class HeadRecipe:
    """The parameters of a phantom of heads.

    Attributes:
        cohort: ``healthy`` heads, or a quarter each of glioma, meningioma, no and pituitary tumour.
        patients: Number of synthetic patients.
        size: Side of the volumes in voxels.
        sequences: The sequences that are made.
        seed: Source of all randomness. Patient ``i`` depends on the seed and on ``i`` alone.
    """

    cohort: Cohort
    patients: int
    size: int = 48
    sequences: tuple[str, ...] = SEQUENCES
    seed: int = 152

    @property
    def resolution(self) -> float:
        """Edge of a voxel in mm."""
        return FIELD_OF_VIEW / self.size

    @property
    def as_json(self) -> str:
        """The generator version and all parameters as canonical JSON."""
        fields = {"heads": GENERATOR_VERSION, **asdict(self)}
        return json.dumps(fields, sort_keys=True)

    @property
    def key(self) -> str:
        """Name of the cache folder; it changes with the generator version and any parameter."""
        import hashlib

        digest = hashlib.sha256(self.as_json.encode()).hexdigest()[:12]
        return f"heads-v{GENERATOR_VERSION}-{self.cohort}-{self.patients}x{self.size}-{digest}"
