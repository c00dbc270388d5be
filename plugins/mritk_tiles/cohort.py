"""What a set of synthetic tiles is a function of."""

from __future__ import annotations

from dataclasses import dataclass

from mritk import UsageError

LEAST = {"cases": 2, "tiles": 1, "side": 32, "seed": 0}


@dataclass(frozen=True)
class Cohort:
    """Synthetic cases, half of each class, with several tiles each.

    A tile depends on the seed, the side, its case and its number alone: a larger cohort holds the
    smaller one.

    Attributes:
        cases: Number of cases; every other one is of the second class.
        tiles: Tiles per case.
        side: Side of a tile in pixels.
        seed: Another seed is another cohort.
    """

    cases: int = 40
    tiles: int = 6
    side: int = 456
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise UsageError(
                    f"{name}={getattr(self, name)} is too small: {name} must be at least {least}"
                )
