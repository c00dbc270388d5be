"""Stop a training whose loss or gradient leaves the numbers that a training can have.

On a CPU every step is looked at when it is made. On a GPU the numbers stay on the device, where
they were computed, and travel to the host behind the work: a look costs no wait, and comes some
steps late.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from mritk.errors import NonFiniteLoss

# A guess costs about 1, in nats or in squared standard deviations.
EXPLODED = 1e4
LOOK_EVERY = 32


class LossWatch:
    """Losses and gradient norms of one epoch.

    Attributes:
        values: (steps, 2) float32 on the device: loss, norm of the gradient before clipping.
        count: Number of steps so far.
    """

    def __init__(
        self,
        epoch: int,
        steps: int,
        device: str,
        suspect: Callable[[int], None] = lambda step: None,
    ) -> None:
        """Watch an epoch; ``suspect`` takes a bad step, from 0, and may raise what explains it."""
        self.epoch, self.count, self._suspect = epoch, 0, suspect
        self.values = torch.zeros(steps, 2, device=device)
        self._rates: list[float] = []
        self._host: torch.Tensor | None = None
        self._travelling: tuple[torch.Tensor, torch.cuda.Event] | None = None

    def add(self, loss: torch.Tensor, norm: torch.Tensor, learning_rate: float) -> None:
        """Take note of one step.

        Raises:
            NonFiniteLoss: A loss or a gradient is NaN or infinite, or the loss exploded.
        """
        torch.stack([loss, norm], out=self.values[self.count])
        self.count += 1
        self._rates.append(learning_rate)
        if self.values.device.type == "cpu":
            self._check(self.values[self.count - 1 : self.count], self.count - 1)
        elif self.count % LOOK_EVERY == 0:
            self._look_behind()

    def mean_loss(self) -> float:
        """Return the mean loss of the epoch; the epoch's only wait for the device.

        Raises:
            NonFiniteLoss: As :meth:`add`.
        """
        values = self.values.cpu()
        self._check(values, 0)
        return float(values[:, 0].double().mean())

    def resume(self, values: torch.Tensor) -> None:
        """Take the first steps from a checkpoint."""
        self.count = len(values)
        self.values[: self.count] = values.to(self.values.device)
        self._rates = [math.nan] * self.count

    def _look_behind(self) -> None:
        if self._travelling is not None:
            values, arrived = self._travelling
            if not arrived.query():
                return
            self._check(values, 0)
        if self._host is None:  # once: to lock memory can make the host wait for the device
            self._host = torch.empty_like(self.values, device="cpu", pin_memory=True)
        host = self._host[: self.count]
        host.copy_(self.values[: self.count], non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record(torch.cuda.current_stream(self.values.device))
        self._travelling = host, arrived

    def _check(self, values: torch.Tensor, first: int) -> None:
        fine = torch.isfinite(values).all(dim=1) & (values[:, 0] < EXPLODED)
        if fine.all():
            return
        row = int(torch.nonzero(~fine)[0])
        loss, norm = values[row].tolist()
        step = first + row
        self._suspect(step)
        raise NonFiniteLoss(
            f"the training loss is {loss:.4g} at step {step + 1} of epoch {self.epoch} (learning "
            f"rate {self._rates[step]:.2g}, gradient norm {norm:.3g}); lower the learning rate, "
            "or set gradient_clip in the protocol"
        )
