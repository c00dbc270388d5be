"""What evolution leaves: a network, and the seeds that it can be rebuilt from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from mritk import Setup, Subset
from mritk.train import BestState, Inputs, Network, Objective, repeatable
from mritk_evolve.genome import Genome
from mritk_evolve.mutation import descend
from mritk_evolve.outside import outside_shares
from mritk_evolve.parameters import Evolution


@dataclass(frozen=True, eq=False)
class Parts:
    """What an evolution consists of.

    Attributes:
        setup: What the method was given.
        inputs: The way of images to the network.
        objective: The loss, and the way from outputs to scores.
        network: Normalised batch in, logits out; holds the weights of a parent when it is scored.
        genome: The network's weights as a vector.
        weights: The match report of the backbone's pretrained weights; None from scratch.
    """

    setup: Setup
    inputs: Inputs
    objective: Objective
    network: Network
    genome: Genome
    weights: dict[str, Any] | None


class Evolved:
    """The network of a parent.

    Attributes:
        network: Normalised batch in, logits out.
        start: The weights of the first parent, (D,) float32 on the CPU.
        folded: Per generation the numbers of the children that were folded into the parent.
    """

    def __init__(
        self,
        parts: Parts,
        best: BestState,
        start: torch.Tensor,
        folded: Sequence[Sequence[int]],
    ) -> None:
        self._parts, self._best, self.network = parts, best, parts.network
        self.start, self.folded = start, folded

    def predict(self, subset: Subset) -> np.ndarray:
        """Return float32 logits (N, classes)."""
        return self._parts.objective.scores(self._outputs(self.network, subset))

    def embed(self, subset: Subset) -> np.ndarray:
        """Return the features of the backbone, (N, D) float32."""
        return self._outputs(self.network.backbone, subset).cpu().numpy()

    def _outputs(self, network: torch.nn.Module, subset: Subset) -> torch.Tensor:
        setup, inputs = self._parts.setup, self._parts.inputs
        with repeatable(setup.device, deterministic=setup.deterministic):
            images = inputs.resident(subset)
            return inputs.evaluate(network, images, setup.parameters.eval_batch_size)

    @cached_property
    def input_shape(self) -> tuple[int, ...]:
        """(C, *spatial) of one input of the network."""
        setup, inputs = self._parts.setup, self._parts.inputs
        return inputs.shape(setup.train.images(inputs.grid, inputs.interpolation).shape)

    def rebuilt(self) -> torch.Tensor:
        """Return the weights (D,) that follow from :attr:`start`, :attr:`folded` and the seed."""
        own: Evolution = self._parts.setup.parameters
        return descend(self.start, self.folded, self._parts.setup.seed, own.sigma_of)

    @property
    def notes(self) -> dict[str, Any]:
        """Facts for the trial file; ``elite`` are the children of :attr:`folded`."""
        setup, inputs, genome = self._parts.setup, self._parts.inputs, self._parts.genome
        own: Evolution = setup.parameters
        sites = {"train": setup.train.samples.sites, "val": setup.val.samples.sites}
        never = setup.selection.on == "val" and not self._best.epoch
        exact = torch.equal(self.rebuilt(), genome.read().cpu())
        return {
            "weights": self._parts.weights,
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "evolved_weights": genome.length,
            "input_size": inputs.size,
            "precision": inputs.precision,
            "selected_epoch": len(self.folded) // own.report_every,
            **({"never_selected": self._best.undefined or "it is NaN"} if never else {}),
            "selected_generation": len(self.folded),
            "elite": [list(children) for children in self.folded],
            "rebuilt_exactly": exact,
            **outside_shares(sites, own.home_site),
        }
