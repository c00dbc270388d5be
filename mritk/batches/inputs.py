"""From samples to the network of one backbone: resize, place, normalise, compute."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from mritk.batches.resident import ResidentImages
from mritk.batches.views import Images
from mritk.images.stored_images import StoredImages
from mritk.images.subset import Subset
from mritk.machine import lanes
from mritk.machine.device import resolve_precision
from mritk.machine.out_of_memory import ran_out_of_memory
from mritk.machine.precision import computing_in
from mritk.machine.replay import Replayed
from mritk.method import Setup
from mritk.model.contract import Normalise
from mritk.model.evaluation_mode import evaluation_mode
from mritk.protocol.recipe import Recipe

logger = logging.getLogger("mritk")

N = TypeVar("N", bound=nn.Module)

# More images at once are no faster on a CPU, and slower once their activations outgrow its caches:
# EfficientNet-Lite0 at 224 px predicts 100 images/s in batches of 64, and 60 in batches of 256
# (2 cores of an AMD EPYC, 2026-11-23).
CPU_BATCH = 64


class Inputs:
    """Applies a backbone's input contract to samples, on the device of a trial.

    Attributes:
        size: Side to which samples are brought, or one per axis; None: as they are.
        grid: The size, and how samples come to it; as ``Subset.images`` takes it.
        interpolation: Interpolation for resizing.
        precision: ``float32``, ``bfloat16`` or ``bfloat16_norms``.
    """

    def __init__(self, setup: Setup) -> None:
        backbone = setup.require_backbone()
        self.size, self.grid = setup.input_size, setup.input_grid
        self.interpolation = backbone.input.interpolation
        self.precision = resolve_precision(setup.precision, setup.device)
        self._device = setup.device
        self._channels = backbone.input.channels
        self._spatial_dims = backbone.architecture.spatial_dims or 0
        self._named = setup.train.samples.channels
        self._graphs = setup.graphs
        self._replayed: Replayed | None = None
        self._normalise = Normalise(
            backbone.input, self._spatial_dims, setup.device, named=bool(self._named)
        )

    def place(self, network: N) -> N:
        """Move a network to the device, 2-D networks in channels-last format."""
        network.to(self._device)
        if self._spatial_dims == 2:
            network.to(memory_format=torch.channels_last)
        return network

    def resident(self, subset: Subset) -> ResidentImages:
        """Return the images of a subset, decoded once and kept on the device of the network."""
        return self.placed(subset.images(self.grid, self.interpolation))

    def placed(self, images: np.ndarray | StoredImages) -> ResidentImages:
        """Keep decoded images, as ``Subset.images`` gives them, on the device of the network."""
        return ResidentImages(
            images, self._spatial_dims, self._device, channels_first=bool(self._named)
        )

    def shape(self, images: Sequence[int]) -> tuple[int, ...]:
        """Return the shape (C, *spatial) of one input of the network, given that of all images."""
        first = 2 if self._named else 1
        return (self._channels, *images[first : first + self._spatial_dims])

    def compute(
        self, network: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor
    ) -> torch.Tensor:
        """Return the network's float32 outputs for images (N, C, *spatial) in [0, 1]."""
        batch = self._normalise(images)
        if self._spatial_dims == 2:
            batch = batch.contiguous(memory_format=torch.channels_last)
        return self.autocast(network, batch)

    def autocast(
        self, network: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor
    ) -> torch.Tensor:
        """Return the float32 outputs of ``network``, which computes in the trial's precision."""
        with computing_in(self.precision, self._device):
            outputs = network(batch)
        return outputs.float()

    @property
    def replays(self) -> bool:
        """Whether batches of evaluation are replayed as a CUDA graph."""
        return self._graphs and self._device.startswith("cuda")

    @property
    def one_shape(self) -> bool:
        """Whether each further shape of a batch costs: on a GPU, cuDNN builds kernels for it."""
        return self._device != "cpu"

    def evaluated_at_once(self, recipe: Recipe, trained: int) -> int:
        """Return how many images a batch of evaluation has.

        Where each shape costs, as many as one of training on ``trained`` images.
        """
        at_once, in_step = recipe.eval_batch_size, min(recipe.batch_size, trained)
        return min(at_once, in_step) if self.one_shape else at_once

    def evaluate(self, network: nn.Module, images: Images, batch_size: int) -> torch.Tensor:
        """Return the float32 outputs (N, …) for all images, in evaluation mode.

        No gradients are kept, but later ones may flow through the outputs. The training modes of
        the network's modules are restored in any case.

        Args:
            network: Takes each image for itself in evaluation mode.
            images: What it is evaluated on.
            batch_size: Images at once; fewer where memory is short. On a GPU the last batch is
                filled up with copies of its last image, whose outputs are left out.
        """
        at_once = batch_size if self.one_shape else min(batch_size, CPU_BATCH)
        self._replay_what_stays(network)
        with evaluation_mode(network):
            while (outputs := self._outputs(network, images, at_once)) is None:
                at_once = (at_once + 1) // 2
        self._replay_what_stays(network)  # not buffers that these passes have made
        return outputs

    def _replay_what_stays(self, network: nn.Module) -> None:
        """Have batches replayed, where they are, by a graph of the network's present tensors."""
        if self.replays:
            self._replayed = self._replayed or Replayed(self._device)
            self._replayed.reads([*network.parameters(), *network.buffers()])

    def _outputs(self, network: nn.Module, images: Images, at_once: int) -> torch.Tensor | None:
        """Return the outputs for all images; None if so many at once take too much memory."""
        try:
            with torch.no_grad():  # a network may keep a tensor of this pass for training
                filled = at_once if self.one_shape else 0
                return torch.cat(
                    [
                        self._output(network, _filled(batch, filled))[: len(batch)]
                        for batch in images.in_order(at_once)
                    ]
                )
        except RuntimeError as error:
            if at_once == 1 or lanes.at_once() > 1 or not ran_out_of_memory(error):
                raise
        if self._device != "cpu":
            torch.cuda.empty_cache()
        return None

    def _output(self, network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
        """Return the outputs for one batch, by a graph if there is one."""
        graph = self._replayed
        if graph is None:
            return self.compute(network, batch)
        failed, outputs = bool(graph.failure), graph(partial(self.compute, network), batch)
        if graph.failure and not failed:
            logger.warning(
                "evaluation cannot be replayed as a CUDA graph (%s); continuing in eager mode",
                graph.failure,
            )
        return outputs


def _filled(batch: torch.Tensor, count: int) -> torch.Tensor:
    """Return a batch of at least ``count`` images: its own, and its last one as often as needed."""
    missing = max(0, count - len(batch))
    return torch.cat([batch, batch[-1:].expand(missing, *batch.shape[1:])]) if missing else batch
