"""One training step: forward, backward, update; in micro-batches where memory asks for them.

The effective batch never changes: gradients of the parts add up to that of the whole. BatchNorm in
training mode is the exception that forbids it, because it would take its statistics from each part
(ghost batch normalisation, another recipe). Dropout masks are drawn part by part.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mritk.errors import OutOfMemory, UsageError
from mritk.machine.lanes import at_once
from mritk.machine.out_of_memory import ran_out_of_memory
from mritk.machine.seeding import seed_draws
from mritk.model.objective import Objective

logger = logging.getLogger("mritk")

# What torch says of one, while BatchNorm learns.
ONE_VALUE = "Expected more than 1 value per channel"

Compute = Callable[[torch.Tensor], torch.Tensor]
Measured = tuple[torch.Tensor, torch.Tensor]


class TrainingStep:
    """What happens to a network with one batch.

    Attributes:
        micro_batch: Number of images that go through the network at once; 0: the whole batch.
    """

    def __init__(
        self,
        network: nn.Module,
        compute: Compute,
        objective: Objective,
        optimiser: torch.optim.Optimizer,
        *,
        gradient_clip: float = 0.0,
        micro_batch: int = 0,
    ) -> None:
        self.network, self.optimiser = network, optimiser
        # What an earlier stage with frozen statistics could divide, this one may have to keep.
        whole = objective.couples_samples or has_batch_statistics(network)
        self.micro_batch = 0 if whole else micro_batch
        self._compute, self._objective, self._clip = compute, objective, gradient_clip

    def __call__(self, images: torch.Tensor, targets: torch.Tensor, seed: int) -> Measured:
        """Train on one batch.

        Args:
            images: (N, C, *spatial) in [0, 1], on the device.
            targets: As the objective takes them.
            seed: Of dropout.

        Returns:
            The loss and the norm of the gradient before clipping, both on the device.

        Raises:
            OutOfMemory: The batch does not fit, and must not or cannot be divided further.
            UsageError: It is one image, and BatchNorm learns.
        """
        while True:
            seed_draws(seed, images.device)
            try:
                loss = self._accumulate(images, targets)
                break
            except RuntimeError as error:
                if not ran_out_of_memory(error):
                    raise
                reason = _first_line(error)
            except ValueError as error:
                if ONE_VALUE not in str(error):
                    raise
                raise UsageError(
                    "BatchNorm cannot compute statistics of a batch of one image: raise "
                    "batch_size in the protocol (a training set of one image needs more images), "
                    "leave last_batch at 'rollover', with which all batches are whole, or train "
                    "with batch_norm = 'frozen'"
                ) from error
            # Outside the handler, whose traceback holds on to the activations.
            self._shrink(len(images), reason)
        try:
            return loss, self._update()
        except RuntimeError as error:
            if not ran_out_of_memory(error):
                raise
            # Part of the weights may have moved: no second attempt.
            raise OutOfMemory(
                f"the device ran out of memory in the optimiser step ({_first_line(error)}); "
                "use a smaller backbone, or stop other processes on the device"
            ) from None

    def run(self, images: torch.Tensor, targets: torch.Tensor) -> Measured:
        """Train on one batch with the random state as it is, and without a second attempt."""
        return self._accumulate(images, targets), self._update()

    def _accumulate(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        self.optimiser.zero_grad(set_to_none=True)
        size = self.micro_batch or len(images)
        total = torch.zeros((), device=images.device)
        for part, labels in zip(images.split(size), targets.split(size), strict=True):
            loss = self._objective.loss(self._compute(part), labels)
            if len(part) < len(images):
                loss = loss * self._objective.share(labels, targets)
            loss.backward()
            total += loss.detach()
        return total

    def _update(self) -> torch.Tensor:
        trained = [p for p in self.network.parameters() if p.grad is not None]
        if self._clip:
            norm = torch.nn.utils.clip_grad_norm_(trained, self._clip)
        else:
            norm = torch.nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None])
        self.optimiser.step()
        return norm

    def _shrink(self, batch: int, reason: str) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        size = self.micro_batch or batch
        if at_once() > 1:  # alone it may fit, and no step is divided that need not be
            raise OutOfMemory(f"the device ran out of memory beside other trials ({reason})")
        if size == 1:
            raise OutOfMemory(
                f"the device ran out of memory with a single image ({reason}); use a smaller "
                "image_size or backbone, or stop other processes on the device"
            )
        if has_batch_statistics(self.network):
            raise OutOfMemory(
                f"the device ran out of memory with batch size {size} ({reason}). Micro-batches "
                "would change the recipe, because BatchNorm computes its statistics over the whole "
                "batch. Lower batch_size or image_size for all backbones, train with "
                "batch_norm = 'frozen', or stop other processes on the device"
            )
        if self._objective.couples_samples:
            raise OutOfMemory(
                f"the device ran out of memory with batch size {size} ({reason}). Micro-batches "
                "would change the recipe, because the loss compares the samples of a batch. Lower "
                "batch_size or image_size for all backbones, or stop other processes on the device"
            )
        self.micro_batch = math.ceil(size / 2)
        logger.warning(
            "the device ran out of memory with %d images at once; continuing with micro-batches "
            "of %d; the batch size remains %d",
            size,
            self.micro_batch,
            batch,
        )


def has_batch_statistics(network: nn.Module) -> bool:
    """Tell whether some BatchNorm of ``network`` is in training mode."""
    return any(isinstance(m, _BatchNorm) and m.training for m in network.modules())


def _first_line(error: RuntimeError) -> str:
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else "no further details"
