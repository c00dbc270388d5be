"""Draw parts of samples at random: units whole, classes spread, and every seed another draw.

Where every sample is a unit of its own, scikit-learn's ``StratifiedKFold`` divides. Where units
hold several samples, its ``StratifiedGroupKFold`` does not serve: it takes the units by the spread
of their classes and only breaks ties at random, so the largest patient always lands in the first
part, and ten seeds give one and the same test part where patients differ in size (measured on 8
and on 12 patients of 5 to 200 images; ``test_draw.py`` keeps the proof). Here the order of the
units is random with a leaning to size, and of several draws the first balanced one is taken.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from mritk.data.samples import Samples
from mritk.errors import DataError
from mritk.seeds import derive
from mritk.text.listed import many

# A share is realised as so many equal parts at most, m of which are joined. In each draw so many
# choices of m are tried: with 3 a rare class is spread badly, with 100 ten seeds find three splits
# of 12 patients.
MOST_PARTS = 20
CHOICES = 10
# Fewer groups than parts make fewer parts do, if the share differs by this at most.
NEAR = 0.05

# A draw is balanced if no part's share of any class is further than this from what it should be;
# the most balanced of so many draws is taken if none is.
TOLERANCE = 0.02
DRAWS = 20

# Standard deviation of the noise on the logarithm of a unit's size. Of 0, 0.1, 0.3 and 1, tried on
# nine cohorts of 8 to 3000 patients, 1 balanced as well and made the draws of ten seeds differ
# most.
NOISE = 1.0


def seed_of(what: str, seed: int, number: int) -> int:
    """Return the seed of a numbered draw, in [0, 2**32); the first draw has ``seed`` itself."""
    return derive(what, seed, number) % 2**32 if number else seed


def draw_part(
    samples: Samples, rows: np.ndarray, groups: np.ndarray, count: int, seed: int
) -> np.ndarray:
    """Return one part in ``count`` of ``rows``; see :func:`draw_parts`."""
    return _draw(samples, rows, groups, count, seed, [[[part]] for part in range(count)])[0]


def draw_share(
    samples: Samples, rows: np.ndarray, groups: np.ndarray, fraction: float, seed: int
) -> np.ndarray:
    """Return about ``fraction`` of ``rows``, sorted: m of n equal parts, n at most 20 if m > 1.

    Where there are fewer groups than these, n is at most their number if that is near enough.
    Shares of one in k are one part in k; others, such as 3/10, are m parts that are balanced when
    they are joined.
    """
    share = Fraction(fraction).limit_denominator(MOST_PARTS)
    is_one_part = share.numerator <= 1
    if is_one_part:
        share = Fraction(1, round(1 / fraction))
    found = max(1, len(np.unique(groups[rows])))
    coarser = max(share.limit_denominator(found), Fraction(1, found))
    share = coarser if abs(coarser - share) <= NEAR else share
    if is_one_part:
        return draw_part(samples, rows, groups, share.denominator, seed)
    rng = np.random.RandomState(seed_of("share", seed, 1))
    orders = (rng.permutation(share.denominator) for _ in range(CHOICES))
    choices = [[order[: share.numerator].tolist()] for order in orders]
    return _draw(samples, rows, groups, share.denominator, seed, choices)[0]


def draw_parts(
    samples: Samples, rows: np.ndarray, groups: np.ndarray, count: int, seed: int
) -> list[np.ndarray]:
    """Divide ``rows`` into ``count`` parts of about equal size, stratified, groups whole.

    The division depends on ids, targets, groups and the seed, not on the order of the samples.

    Args:
        samples: N samples.
        rows: Those of them that are divided.
        groups: (N,) int64, as from :func:`mritk.splits.units.units`.
        count: Number of parts.
        seed: Seed of the draw, in [0, 2**32).

    Returns:
        The rows of each part, sorted.

    Raises:
        DataError: There are fewer groups than parts.
    """
    return _draw(samples, rows, groups, count, seed, [[[part] for part in range(count)]])


def _draw(
    samples: Samples,
    rows: np.ndarray,
    groups: np.ndarray,
    count: int,
    seed: int,
    choices: Sequence[Sequence[Sequence[int]]],
) -> list[np.ndarray]:
    """Return the first balanced choice of parts, or the most balanced one of all draws.

    ``choices`` lists what the caller could do with: sets, each the numbers of parts to be joined.
    """
    rows = rows[np.argsort(np.asarray(samples.ids)[rows])]
    strata = samples.task.strata(samples.targets[rows], count)
    _, unit = np.unique(groups[rows], return_inverse=True)
    _require_enough(samples, rows, unit, count)
    held = np.zeros((unit.max() + 1, strata.max() + 1))  # samples of each unit in each stratum
    np.add.at(held, (unit, strata), 1)
    best, parts = (np.inf, np.inf), []
    for attempt in range(DRAWS):
        part = _divide(unit, strata, held, count, seed_of("draw", seed, attempt))
        held_by = np.zeros((count, held.shape[1]))
        np.add.at(held_by, (part, strata), 1)
        for choice in choices:
            found = _flaws(held_by, choice)
            if found < best:
                best = found
                parts = [np.sort(rows[np.isin(part, numbers)]) for numbers in choice]
            if best <= (0, TOLERANCE):
                return parts
    return parts


def _divide(
    unit: np.ndarray, strata: np.ndarray, held: np.ndarray, count: int, seed: int
) -> np.ndarray:
    """Return the number of the part of each sample."""
    # scikit-learn refuses parts of which no class has a sample each.
    if len(held) == len(unit) and held.sum(0).max() >= count:
        return _divide_samples(strata, count, seed)
    # Its stream is the same in every version of numpy, and so are the splits.
    rng = np.random.RandomState(seed)
    order = np.argsort(-np.log(held.sum(1)) - NOISE * rng.standard_normal(len(held)), kind="stable")
    weights = held / held.sum(0) ** 2
    filled = np.zeros((count, held.shape[1]))
    part = np.empty(len(held), dtype=np.int64)
    for number in order:
        # Putting a unit where this is least keeps the sum of squared class shares least.
        cost = filled @ weights[number]
        least = np.flatnonzero(cost <= cost.min() + 1e-12)
        part[number] = least[np.argmin(filled[least].sum(1))]
        filled[part[number]] += held[number]
    return rng.permutation(count)[part][unit]


def _divide_samples(strata: np.ndarray, count: int, seed: int) -> np.ndarray:
    from sklearn.model_selection import StratifiedKFold

    part = np.empty(len(strata), dtype=np.int64)
    with warnings.catch_warnings():
        # A class rarer than the parts is refused later, by name, if a part lacks it.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        folds = StratifiedKFold(count, shuffle=True, random_state=seed).split(strata, strata)
        for number, (_, rows) in enumerate(folds):
            part[rows] = number
    return part


def _flaws(held: np.ndarray, choice: Sequence[Sequence[int]]) -> tuple[float, float]:
    """Return how often a chosen set has none or all of a stratum, and the largest imbalance.

    The imbalance of m parts joined and a stratum is how far their share of it is from m in
    ``len(held)``; ``held`` counts the samples of each part in each stratum.
    """
    share = np.stack([held[list(numbers)].sum(0) for numbers in choice]) / held.sum(0)
    wanted = np.asarray([[len(numbers) / len(held)] for numbers in choice])
    return float(((share == 0) | (share == 1)).sum()), float(np.abs(share - wanted).max())


def _require_enough(samples: Samples, rows: np.ndarray, unit: np.ndarray, count: int) -> None:
    found = unit.max(initial=-1) + 1
    if found >= count:
        return
    name = samples.owner_noun[:-1]
    owners = {samples.owners[row] for row in rows.tolist()}
    if samples.patients is not None and len(owners) == 1 and len(rows) > 1:
        which, remedy = f"the {len(rows)} samples left for training and validation", ""
        if len(rows) == len(samples):
            which = f"all {len(rows)} samples"
            remedy = "correct the patient ids, which a spreadsheet may have shortened, or "
        raise DataError(
            f"{which} are of one patient, {owners.pop()!r}, and cannot be split into {count} sets; "
            f"{remedy}add patients"
        )
    copies = ", counting duplicates as one," if found < len(owners) else ""
    raise DataError(
        f"{many(found, name)}{copies} cannot be split into {count} sets; add data, or change the "
        "fractions or folds in the protocol's [split]"
    )
