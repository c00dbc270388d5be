"""The options of ``augmented:DATASET``."""

from __future__ import annotations

from dataclasses import dataclass

from mritk import UsageError


@dataclass(frozen=True)
class Offline:
    """What may follow ``augmented:DATASET``.

    Attributes:
        copies: Number of copies of each sample.
        rotation: Largest angle about each axis, in degrees.
        scaling: Largest relative change of size, equal along all axes.
        shift: Largest translation along each axis, relative to the side.
        mirror: Whether half of the copies are mirrored along the last axis.
        contrast: Largest change of the exponent of a gamma curve; 0: intensities are kept.
        seed: Of all draws.
    """

    copies: int = 5
    rotation: float = 15.0
    scaling: float = 0.15
    shift: float = 0.05
    mirror: bool = True
    contrast: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no copies.

        Raises:
            UsageError: A number out of its range.
        """
        if not 1 <= self.copies <= 100:
            raise UsageError(f"copies={self.copies}: write a number from 1 to 100")
        for name, most in (("rotation", 180), ("scaling", 0.9), ("shift", 1), ("contrast", 0.9)):
            if not 0 <= getattr(self, name) <= most:
                raise UsageError(f"{name}={getattr(self, name):g}: write a number from 0 to {most}")
