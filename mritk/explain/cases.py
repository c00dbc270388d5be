"""Which test samples are explained: so many, spread over the classes, or those that are named."""

from __future__ import annotations

import numpy as np

from mritk.errors import UsageError
from mritk.seeds import derive
from mritk.store.record import Predictions

ALL = "all"


def chosen_cases(test: Predictions, wish: str) -> np.ndarray:
    """Return positions of the test samples that are explained, rising, (n,) int64.

    Args:
        test: The test part of a trial.
        wish: ``all``; a number, of which each class gets its share at random, always the same; or
            ids with commas between them. A comma after it makes an id of a number.

    Raises:
        UsageError: It is no positive number, or names a sample that was not tested.
    """
    if wish == ALL:
        return np.arange(len(test.id))
    places = {name: place for place, name in enumerate(test.id)}
    if not wish.removeprefix("-").isdecimal():
        listed = [name.strip() for name in wish.removesuffix(",").split(",")]
        names = [wish] if wish in places else listed
        unknown = [name for name in names if name not in places]
        if unknown:
            raise UsageError(
                f"--cases: {unknown[0]!r} is no sample of the test set; write a number, 'all', or "
                f"ids such as {test.id[0]}"
            )
        return np.unique([places[name] for name in names])
    if int(wish) < 1:
        raise UsageError(f"--cases {wish}: write 1 or more, 'all', or ids of test samples")
    order = np.random.default_rng(derive("cases")).permutation(len(test.id))
    # How many of its class come before each: classes take turns.
    turn = np.zeros(len(order), dtype=np.int64)
    for label in np.unique(test.target):
        own = order[test.target[order] == label]
        turn[own] = np.arange(len(own))
    by_turn = order[np.argsort(turn[order], kind="stable")]
    return np.sort(by_turn[: int(wish)])
