"""Pairs of pictures that may be copies, and how the one roughly lies upon the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mritk.audit.register import inverted
from mritk.audit.symmetry import symmetries

# A map that magnifies by less than this does not tell which picture shows more.
AS_WIDE = 1e-3


@dataclass(frozen=True, eq=False)
class Starts:
    """P pairs of pictures: picture j, after a symmetry and then a map, lies upon picture i.

    Attributes:
        i, j: (P,) rows.
        turn: (P,) number of the symmetry.
        maps: (P, 2, 3), from places of picture i to those of the turned picture j.
        score: (P,) correlation of their coarsest structure.
    """

    i: np.ndarray
    j: np.ndarray
    turn: np.ndarray
    maps: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.i)

    def __getitem__(self, rows: np.ndarray | slice) -> Starts:
        return Starts(*(column[rows] for column in vars(self).values()))

    @classmethod
    def of(cls, parts: Sequence[Starts]) -> Starts:
        """Return all pairs of ``parts``."""
        return cls(*map(np.concatenate, zip(*(vars(each).values() for each in parts), strict=True)))

    def widest_first(self) -> Starts:
        """Return the same pairs, picture i the one that shows more, or else the lower row.

        Seen by the other, it would have to be magnified, which blurs what is compared.
        """
        zoom = np.linalg.det(self.maps[:, :, :2])
        as_wide = (zoom >= 1 - AS_WIDE) & (zoom < 1 + AS_WIDE)
        return self._swapped(np.where(as_wide, self.i > self.j, zoom < 1))

    def in_order(self) -> Starts:
        """Return the same pairs, picture i the lower row."""
        return self._swapped(self.i > self.j)

    def _swapped(self, swap: np.ndarray) -> Starts:
        """Return the pairs of which ``swap`` (P,) is true the other way round."""
        turns = symmetries(2)
        inverse = np.array([turns.index(each.inverse) for each in turns])
        matrices = np.array([each.matrix for each in turns])[self.turn]
        # P_j(z) = P_i(M⁻¹ τ⁻¹ z), and so the picture i that is turned by τ⁻¹, at τ M⁻¹ τ⁻¹ z.
        back = matrices @ inverted(self.maps)
        back[:, :, :2] = back[:, :, :2] @ np.swapaxes(matrices, 1, 2)
        return Starts(
            np.where(swap, self.j, self.i),
            np.where(swap, self.i, self.j),
            np.where(swap, inverse[self.turn], self.turn),
            np.where(swap[:, None, None], back, self.maps),
            self.score,
        )

    def distinct(self) -> Starts:
        """Return every pair once, from where its score is best, in the order of their rows."""
        low, high = np.minimum(self.i, self.j), np.maximum(self.i, self.j)
        best = np.lexsort((-self.score, high, low))
        low, high = low[best], high[best]
        first = np.ones(len(best), bool)
        first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
        kept = best[first]
        return self[kept[np.lexsort((self.j[kept], self.i[kept]))]]
