"""The tensors that change in one stage of a training."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from mritk.model.blocks import set_trainable
from mritk.model.lora import add_adapters, merge_adapters, merged_state
from mritk.seeds import derive
from mritk.train.training import Training
from mritk.train.what_trains import counted_blocks, trainable_tensors


class TrainedTensors:
    """The tensors that one stage lets change, and which of them have changed.

    Attributes:
        trainable: Those of the backbone at the end of the stage.
    """

    def __init__(self, training: Training, number: int) -> None:
        """Let the tensors of stage ``number``, from 0, train and all others rest."""
        self._loaded, self._network = training.loaded, training.network
        self._stage = stage = training.recipe.stages[number]
        self.trainable = trainable_tensors(self._loaded, stage)
        self._blocks = len(counted_blocks(self._loaded, stage))
        self._joined = -1
        self._changed: set[str] = set()
        # Of plain tensors, by the names that they have again at the end.
        self._before = self._copied()
        set_trainable(self._loaded.network, self.trainable)
        if stage.tune == "lora":
            add_adapters(
                self._loaded.network,
                self.trainable,
                rank=stage.lora_rank,
                alpha=stage.lora_alpha,
                seed=derive(training.setup.seed, "adapters", number),
            )
        self._network.head.train()
        self._network.zero_grad(set_to_none=True)

    def unfreeze(self, epoch: int) -> bool:
        """Let as many blocks train as belong to ``epoch`` of the stage; tell if others did so far.

        One more block joins for each ``unfreeze_every`` epochs that have passed.
        """
        every, blocks = self._stage.unfreeze_every, self._blocks
        if not every or not blocks:
            return False
        count = min(epoch // every, math.ceil(round(self._stage.train_last * blocks, 6)))
        if self._joined == count:
            return False
        self._joined = count
        now = trainable_tensors(self._loaded, self._stage, count / blocks)
        set_trainable(self._loaded.network, now)
        self._network.head.train()
        return True

    def changed(self) -> set[str]:
        """Return the names of the network's tensors that have changed since the stage began."""
        now, before = merged_state(self._network), self._before
        same = {n for n in now.keys() & before.keys() if torch.equal(before[n], now[n])}
        return self._changed | ((now.keys() | before.keys()) - same)

    def resume(self, changed: Iterable[str]) -> None:
        """Count from the network's tensors as they are now, beside those that have ``changed``."""
        self._changed, self._before = set(changed), self._copied()

    def end(self) -> list[str]:
        """Leave a plain network behind; return the names of the tensors that changed."""
        changed = self.changed()
        merge_adapters(self._network)
        return [name for name in self._network.state_dict() if name in changed]

    def _copied(self) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in merged_state(self._network).items()}
