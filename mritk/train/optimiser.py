"""Optimisers and learning-rate schedules of a training stage; torch's own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch.optim import lr_scheduler

from mritk.model.blocks import Block
from mritk.model.network import Network, parameter_groups
from mritk.protocol.recipe import Stage

MOMENTUM = 0.9


def build_optimiser(
    network: Network,
    stage: Stage,
    blocks: Sequence[Block] = (),
    *,
    capturable: bool = False,
) -> torch.optim.Optimizer:
    """Return the optimiser of ``stage`` over the trainable parameters of ``network``.

    Args:
        network: Backbone and head.
        stage: Names the optimiser and its settings.
        blocks: The backbone's blocks, for ``layer_decay``.
        capturable: Make one whose steps a CUDA graph can hold.
    """
    groups = parameter_groups(
        network,
        learning_rate=stage.learning_rate,
        backbone_learning_rate=stage.backbone_learning_rate or stage.learning_rate,
        weight_decay=stage.weight_decay,
        layer_decay=stage.layer_decay,
        blocks=blocks,
    )
    device = next(network.parameters()).device
    # One kernel for all tensors on a GPU. On a CPU it gains 1 to 2 % and rounds in another way.
    fused = True if device.type == "cuda" else None
    if capturable:  # a graph reads the rate from the device, and would keep a plain number for ever
        for group in groups:
            group["lr"] = torch.tensor(group["lr"], device=device)
    if stage.optimizer == "sgd":
        sgd = torch.optim.SGD(groups, momentum=MOMENTUM, nesterov=True, fused=fused)
        _begin_momentum(sgd)
        return sgd
    kind = torch.optim.AdamW if stage.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, eps=stage.adam_epsilon, fused=fused, capturable=capturable)


def _begin_momentum(optimiser: torch.optim.Optimizer) -> None:
    """Let a momentum of zero stand for none yet, where one kernel updates all tensors.

    torch's refuses tensors with and without momentum together, as gradual unfreezing makes them,
    and a graph would repeat what a first step does. The first step is the same.
    """
    for group in optimiser.param_groups:
        if not group["fused"] or "momentum" not in group:
            continue
        for parameter in group["params"]:
            if optimiser.state[parameter].get("momentum_buffer") is None:
                zero = torch.zeros_like(parameter, memory_format=torch.preserve_format)
                optimiser.state[parameter]["momentum_buffer"] = zero


# How an optimiser computes, which is no part of where it is.
WAYS = ("capturable", "fused", "foreach")


def load_optimiser(optimiser: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Put a saved state into ``optimiser``, which still computes in its own way.

    Rates that live on a device stay there. The state may be that of an optimiser which was made
    for a graph when this one is not, or the other way round.
    """
    own, saved = optimiser.param_groups, state["param_groups"]
    rates = [group["lr"] for group in own]
    groups = [
        {**there, **{name: here[name] for name in WAYS if name in here}}
        for here, there in zip(own, saved, strict=True)
    ]
    optimiser.load_state_dict({**state, "param_groups": groups})
    _begin_momentum(optimiser)
    for group, rate in zip(optimiser.param_groups, rates, strict=True):
        value, group["lr"] = float(group["lr"]), rate
        _set_rate(group, value)


def _set_rate(group: dict[str, Any], value: float) -> None:
    if isinstance(group["lr"], torch.Tensor):
        group["lr"].fill_(value)
    else:
        group["lr"] = value


class Schedule:
    """The learning rate over the steps and epochs of one stage."""

    def __init__(self, optimiser: torch.optim.Optimizer, stage: Stage, steps: int) -> None:
        self._optimiser, self._step, self._epochs = optimiser, 0, 0
        self._peaks = [float(group["lr"]) for group in optimiser.param_groups]
        cosine = stage.schedule == "cosine"
        self._factor = partial(factor, steps=steps, warmup=stage.warmup, cosine=cosine)
        self._decay = partial(decay, stage=stage)
        self._by_epoch = (
            lr_scheduler.ReduceLROnPlateau(
                optimiser,
                factor=stage.plateau_factor,
                # torch waits one epoch longer than its patience, and takes small gains for none.
                patience=stage.plateau_patience - 1,
                threshold=stage.plateau_min_delta,
                threshold_mode="abs",
                min_lr=stage.minimum_learning_rate,
            )
            if stage.schedule == "plateau"
            else None
        )
        self._warmup_steps = math.ceil(stage.warmup * steps)
        self._follow_steps()

    @property
    def learning_rate(self) -> float:
        """The present rate of the first parameter group, the head's."""
        return self._rate

    def after_step(self, *, ends_epoch: bool = False) -> None:
        """Move on by one optimiser step; epochs need not have the same number of them."""
        self._step += 1
        self._epochs += ends_epoch
        # On a plateau schedule the rate belongs to the epochs once the warm-up is over.
        if self._by_epoch is None or self._step <= self._warmup_steps:
            self._follow_steps()

    def _follow_steps(self) -> None:
        share = self._factor(self._step) * self._decay(self._epochs)
        for group, peak in zip(self._optimiser.param_groups, self._peaks, strict=True):
            _set_rate(group, peak * share)
        # Kept beside the optimiser's own, which a GPU may hold.
        self._rate = self._peaks[0] * share

    def after_epoch(self, val_loss: float) -> None:
        """Move on by one epoch with this validation loss."""
        if self._by_epoch is None:
            return
        if self._step <= self._warmup_steps:
            # The rate rises as planned: such an epoch only says what later ones must surpass.
            if val_loss < self._by_epoch.best - self._by_epoch.threshold:
                self._by_epoch.best = val_loss
            return
        groups = self._optimiser.param_groups
        rates = [group["lr"] for group in groups]
        self._by_epoch.step(val_loss)
        for group, rate in zip(groups, rates, strict=True):
            value, group["lr"] = float(group["lr"]), rate  # a graph reads this memory
            _set_rate(group, value)
        self._rate = float(groups[0]["lr"])

    def state(self) -> dict[str, Any]:
        """Return what :meth:`load` takes, as plain data."""
        return {
            "step": self._step,
            "epochs": self._epochs,
            "rate": self._rate,
            "by_epoch": _plain(self._by_epoch.state_dict()) if self._by_epoch else {},
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Resume from a :meth:`state`; the rates themselves are in the optimiser's."""
        self._step, self._epochs, self._rate = state["step"], state["epochs"], state["rate"]
        if self._by_epoch is not None:
            self._by_epoch.load_state_dict(state["by_epoch"])


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scheduler's state without functions, and without tensors of rates."""
    kinds = (bool, int, float, str, type(None))
    return {name: value for name, value in state.items() if isinstance(value, kinds)}


def decay(epochs: int, stage: Stage) -> float:
    """Return what the schedule ``step`` has multiplied the rate by after so many whole epochs.

    As torch's ``StepLR``; other schedules give 1.
    """
    if stage.schedule != "step":
        return 1.0
    return stage.step_factor ** (epochs // stage.step_epochs)


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
