"""Which runs of two rows are compared: those of the same seed, division of the data and folds.

What is made of all seeds (or of all divisions) has none of its own. It is compared with each run of
another row that it does not contradict, and the mean of these differences is one difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

# The number of the seed, or fold, of what is made of all of them; that of no trial.
POOLED = -(2**63)
Run = tuple[int, int]


def agree(one: int, other: int) -> bool:
    """Whether two numbers of seeds, divisions or folds are the same, or one is of all."""
    return one == other or POOLED in (one, other)


def runs_agree(one: Run, other: Run) -> bool:
    """Whether two runs are of the same seed and division, as far as they have one."""
    return agree(one[0], other[0]) and agree(one[1], other[1])


def partners(ones: Mapping[Run, Set[int]], others: Mapping[Run, Set[int]]) -> dict[Run, list[Run]]:
    """Return, for each run of the other row, the runs of the first that it is compared with.

    Args:
        ones: The folds of each run of the first row.
        others: The folds of each run of the other row.
    """
    return {
        other: [
            one
            for one in ones
            if runs_agree(one, other)
            and (ones[one] == others[other] or POOLED in ones[one] | others[other])
        ]
        for other in others
    }
