"""Features in place of images, where a frozen backbone would give the same ones in every epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from mritk.batches.inputs import Inputs
from mritk.images.subset import Subset
from mritk.method import Setup
from mritk.model.evaluation_mode import evaluation_mode
from mritk.probe.features import FrozenBackbone


class FrozenFeatures:
    """What a head trains on while nothing before it changes.

    The features are those of the cache that all trials share (:mod:`mritk.probe.features`).
    """

    def __init__(self, setup: Setup, inputs: Inputs, head: nn.Module) -> None:
        self._inputs, self._head, self._device = inputs, head, setup.device
        at_once = inputs.evaluated_at_once(setup.parameters, len(setup.train))
        backbone = FrozenBackbone(setup, batch_size=at_once)
        self._train, self._val = (self._placed(backbone, part) for part in (setup.train, setup.val))

    def _placed(self, backbone: FrozenBackbone, part: Subset) -> torch.Tensor:
        return torch.from_numpy(backbone.features(part).values).to(self._device)

    def batches(self, rows: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Yield the training features (B, D) float32 at each of ``rows``."""
        for chosen in rows:
            yield self._train[chosen.to(self._device)]

    def compute(self, features: torch.Tensor) -> torch.Tensor:
        """Return the head's float32 outputs (B, K)."""
        return self._inputs.autocast(self._head, features)

    def validation(self) -> torch.Tensor:
        """Return the outputs for the validation part, in evaluation mode and without gradients."""
        with evaluation_mode(self._head), torch.no_grad():
            return self.compute(self._val)
