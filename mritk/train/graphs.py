"""Replay training steps as one CUDA graph: a launch per step in place of a thousand.

https://docs.pytorch.org/docs/stable/notes/cuda.html#whole-network-capture. The warm-up that a
capture needs are the first steps of the stage themselves, so that nothing has to be undone.
"""

from __future__ import annotations

import logging

import torch

from mritk.machine.graph_draws import GraphDraws
from mritk.machine.replay import beside, recording, why_not_recorded
from mritk.model.unchanged import buffer_tables, put_back
from mritk.train.step import Measured, TrainingStep

logger = logging.getLogger("mritk")

WARM_UP = 3


class GraphedStep:
    """A training step that is recorded once it has run a few times, and then replayed.

    What is recorded is a whole batch. One of another shape (the incomplete last one of an epoch),
    or one that has to be divided, goes the usual way. So does everything if the recording fails; a
    line of the log says so.
    """

    def __init__(self, step: TrainingStep, said: set[str] | None = None) -> None:
        """Replay ``step``; why it cannot be recorded is not said if it is among ``said``."""
        self.step, self._said = step, set() if said is None else said
        self._seen = self._most = 0
        # Named, because the device of a trial need not be the one that torch takes by default.
        self._device = next(step.network.parameters()).device
        self._stream = torch.cuda.Stream(self._device)
        self._draws = GraphDraws(self._device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._given_up = False

    @property
    def micro_batch(self) -> int:
        """As in :class:`mritk.train.step.TrainingStep`."""
        return self.step.micro_batch

    @property
    def recorded(self) -> bool:
        """True once steps are replayed."""
        return self._graph is not None

    def __call__(self, images: torch.Tensor, targets: torch.Tensor, seed: int) -> Measured:
        """As :meth:`mritk.train.step.TrainingStep.__call__`; the next call overwrites the result.

        Raises:
            OutOfMemory: As there.
        """
        if self._given_up or self.step.micro_batch:
            return self.step(images, targets, seed)
        if self._seen < WARM_UP:
            self._seen, self._most = self._seen + 1, max(self._most, len(images))
            with beside(self._stream, self._device):
                return self.step(images, targets, seed)
        if self._graph is None and (len(images) < self._most or not self._record(images, targets)):
            return self.step(images, targets, seed)
        if images.shape != self._images.shape or targets.shape != self._targets.shape:
            return self.step(images, targets, seed)
        assert self._graph is not None
        self._images.copy_(images)
        self._targets.copy_(targets)
        self._draws.seed(seed)
        self._graph.replay()
        return self._measured

    def _record(self, images: torch.Tensor, targets: torch.Tensor) -> bool:
        """Record one step; recording computes nothing. Return whether it went well."""
        self._images, self._targets = images.clone(), targets.clone()
        graph, reason = torch.cuda.CUDAGraph(), ""
        buffers = buffer_tables(self.step.network)
        try:
            self.step.optimiser.zero_grad(set_to_none=True)
            with self._draws.recorded(), recording(graph, self._stream):
                self._measured = self.step.run(self._images, self._targets)
        except RuntimeError as error:
            reason = why_not_recorded(error, self._device)
        # Each replay would read the same old tensor, and what stands there now has no values.
        replaced = [put_back(now, before) for now, before in buffers]
        if any(replaced):
            reason = reason or "the network replaces its buffers"
        if reason:
            self._given_up = True
            tell_not_recorded(reason, self._said)
            return False
        self._graph = graph
        return True


def tell_not_recorded(reason: str, said: set[str]) -> None:
    """Say why steps are not replayed, unless it is among what was said."""
    if reason not in said:
        said.add(reason)
        logger.warning(
            "steps cannot be replayed as a CUDA graph (%s); continuing in eager mode", reason
        )
