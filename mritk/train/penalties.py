"""Choose the penalty of a linear model by the protocol's selection rule."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from torch import nn

from mritk.errors import UsageError
from mritk.method import Epoch, Setup
from mritk.model.objective import Objective
from mritk.train.selection import BestState

# Takes the number of a penalty, from 0; returns its scores for training and validation.
Scores = Callable[[int], tuple[np.ndarray, np.ndarray]]


def choose_penalty(
    setup: Setup,
    penalties: Sequence[float],
    scores: Scores,
    *,
    seconds: float = 0.0,
    before: int = 0,
    required: bool | None = None,
) -> int:
    """Announce the model of each penalty like an epoch; return the number of the best, from 0.

    Args:
        setup: Of the training.
        penalties: The candidates.
        scores: The scores of each model, as :meth:`mritk.Fitted.predict` returns them.
        seconds: What fitting one model took.
        before: Number of epochs that were announced before.
        required: Whether a rule without a value for any penalty is refused; else the first is kept.
            None: where the rule selects on the validation set.

    Raises:
        UsageError: The selection rule has no value for any penalty.
    """
    objective = Objective(setup.task, setup.train.targets, "cpu")
    best = BestState(setup.selection, setup.task)
    for number, penalty in enumerate(penalties, 1):
        began = time.perf_counter()
        train, val = scores(number - 1)
        train_loss = objective.loss_of_scores(train, setup.train.targets)
        val_loss = objective.loss_of_scores(val, setup.val.targets)
        value = best.measure(val_loss, val, setup.val.targets)
        best.offer(number, value, nn.Identity())  # there is no network state to keep
        setup.on_epoch(
            Epoch(
                epoch=before + number,
                epochs=before + len(penalties),
                stage=f"penalty {penalty:g}",
                learning_rate=0.0,
                train_loss=train_loss,
                val_loss=val_loss,
                selection=value,
                seconds=seconds + time.perf_counter() - began,
            )
        )
    required = setup.selection.on == "val" if required is None else required
    if required and best.epoch == 0:
        raise UsageError(
            f"the selection rule {setup.selection.by!r} is undefined on the validation set for "
            "all penalties; select by 'loss', or by another metric"
        )
    return max(0, best.epoch - 1)
