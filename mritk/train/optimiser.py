"""Optimisers and learning-rate schedules of a training stage; torch's own."""

from __future__ import annotations

import math

import torch
from torch.optim import lr_scheduler

from mritk.train.network import Network, parameter_groups
from mritk.train.recipe import Stage


def build_optimiser(network: Network, stage: Stage) -> torch.optim.Optimizer:
    """Return the optimiser of ``stage`` over the trainable parameters of ``network``."""
    groups = parameter_groups(
        network,
        learning_rate=stage.learning_rate,
        backbone_learning_rate=stage.backbone_learning_rate or stage.learning_rate,
        weight_decay=stage.weight_decay,
    )
    if stage.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, nesterov=True)
    kind = torch.optim.AdamW if stage.optimizer == "adamw" else torch.optim.Adam
    return kind(groups)


class Schedule:
    """The learning rate over the steps and epochs of one stage."""

    def __init__(self, optimiser: torch.optim.Optimizer, stage: Stage, steps: int) -> None:
        self._optimiser = optimiser
        cosine = stage.schedule == "cosine"
        self._by_step = lr_scheduler.LambdaLR(
            optimiser, lambda step: factor(step, steps, warmup=stage.warmup, cosine=cosine)
        )
        self._by_epoch = (
            lr_scheduler.ReduceLROnPlateau(
                optimiser,
                factor=stage.plateau_factor,
                # torch waits one epoch longer than its patience, and takes small gains for none.
                patience=stage.plateau_patience - 1,
                threshold=0.0,
                min_lr=stage.minimum_learning_rate,
            )
            if stage.schedule == "plateau"
            else None
        )
        self._warmup_steps = math.ceil(stage.warmup * steps)
        self._step = 0

    @property
    def learning_rate(self) -> float:
        """The present rate of the first parameter group, the head's."""
        return float(self._optimiser.param_groups[0]["lr"])

    def after_step(self) -> None:
        """Move on by one optimiser step."""
        self._step += 1
        # On a plateau schedule the rate belongs to the epochs once the warm-up is over.
        if self._by_epoch is None or self._step <= self._warmup_steps:
            self._by_step.step()

    def after_epoch(self, val_loss: float) -> None:
        """Move on by one epoch with this validation loss."""
        if self._by_epoch is not None:
            self._by_epoch.step(val_loss)


def factor(step: int, steps: int, *, warmup: float, cosine: bool) -> float:
    """Return the share of the peak learning rate at ``step`` of ``steps``.

    Linear from 1 / w in the w warm-up steps, then a half cosine to 0 (Loshchilov and Hutter,
    2017, equation 5, one period) or constant.
    """
    warm = math.ceil(warmup * steps)
    if step < warm:
        return (step + 1) / warm
    if not cosine:
        return 1.0
    progress = min(1.0, (step - warm) / max(1, steps - warm))
    return 0.5 * (1 + math.cos(math.pi * progress))
