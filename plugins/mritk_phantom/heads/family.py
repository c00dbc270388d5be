"""``phantom3d,target=age``: what may follow the name, and what it then is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from mritk import Dataset, UsageError, lazy
from mritk_phantom.heads.recipe import SEQUENCES, SIZES, Cohort, HeadRecipe

NAME = "phantom3d"
# More voxels a side than these are many.
LARGE = 64
# By target.
SUMMARIES = {
    "age": "age of healthy people from T1 volumes",
    "sex": "sex of healthy people from T1 volumes",
    "tumour": "kind of brain tumour, or none, from T1 volumes",
    "mask": "nested regions of brain tumours in four sequences",
}


@dataclass(frozen=True)
class HeadOptions:
    """What may follow ``phantom3d``.

    Attributes:
        target: What is predicted: ``age``, ``sex``, ``tumour`` or ``mask``; there is no default.
        size: Side of the volumes in voxels, 32 to 96; they always show 216 mm.
        patients: Number of patients; fewer are the first ones of more. ``auto``: 300, or 150 where
            volumes have more than 64 voxels a side, which take longer to make and to train on.
        sequences: ``t1``, ``t1ce``, ``t2``, ``flair``, or ``all`` four as channels; ``auto``:
            ``all`` for masks, else ``t1``.
    """

    target: str = ""
    size: int = 48
    patients: int | Literal["auto"] = "auto"
    sequences: Literal["auto", "t1", "t1ce", "t2", "flair", "all"] = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be made.

        Raises:
            UsageError: An unknown target, a size out of range, or too few patients.
        """
        if self.target not in SUMMARIES:
            what = f"unknown target {self.target}" if self.target else "no target"
            raise UsageError(f"{what}; write {NAME},target=" + "|".join(SUMMARIES))
        if not SIZES[0] <= self.size <= SIZES[1]:
            raise UsageError(f"size={self.size}: write a size from {SIZES[0]} to {SIZES[1]}")
        if self.patients != "auto" and self.patients < 20:
            raise UsageError(f"patients={self.patients}: 20 or more are needed")

    @property
    def shown(self) -> tuple[str, ...]:
        """The sequences of a sample."""
        if self.sequences == "auto":
            return SEQUENCES if self.target == "mask" else ("t1",)
        return SEQUENCES if self.sequences == "all" else (self.sequences,)

    @property
    def recipe(self) -> HeadRecipe:
        """What is generated. One cohort serves several targets; of healthy heads, T1 is enough."""
        patients = self.patients
        if patients == "auto":
            patients = 300 if self.size <= LARGE else 150
        cohort: Cohort = "healthy" if self.target in ("age", "sex") else "tumour"
        plain = cohort == "healthy" and self.shown == ("t1",)
        return HeadRecipe(cohort, patients, self.size, ("t1",) if plain else SEQUENCES)


def resolve_heads(member: str, options: HeadOptions) -> Iterator[Dataset]:
    """Yield the dataset of these options.

    Raises:
        LookupError: The name has a member, which it has none of.
    """
    if member:
        raise LookupError(f"{NAME} has no member {member!r}")
    from mritk_phantom import LICENSE

    recipe = options.recipe
    yield Dataset(
        NAME,
        open=partial(
            lazy("mritk_phantom.heads.store:open_heads"), recipe, options.target, options.shown
        ),
        summary=f"synthetic heads: {SUMMARIES[options.target]}",
        sources=("mni152",),
        license=LICENSE,
        is_generated=partial(lazy("mritk_phantom.heads.store:is_generated"), recipe),
    )
