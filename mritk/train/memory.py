"""Estimate the memory that a training takes on its device, before its first step.

The network is run forward twice on a few images, and what the pass holds is counted. Between 2 and
4 images the count grows as it will between 32 and 64, so the batch that fits follows from a line.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from mritk.errors import OutOfMemory
from mritk.machine.host_memory import available_bytes
from mritk.model.alike import once
from mritk.model.unchanged import unchanged
from mritk.model.without_values import follow

Compute = Callable[[torch.Tensor], torch.Tensor]
OptimizerName = Literal["sgd", "adam", "adamw"]

GIB = 2**30

# Values that an optimiser keeps for each one that it trains: momentum, or two moments.
OPTIMISER_COPIES = {"sgd": 1, "adam": 2, "adamw": 2}

# Two batches small enough for any device; BatchNorm has no statistics of a single image.
FEW, TWICE = 2, 4


@dataclass(frozen=True)
class MemoryEstimate:
    """The bytes of a training, by what they are for.

    The libraries' own share (a CUDA context, workspaces of cuDNN) is not among them.

    Attributes:
        parameters: Parameters and buffers of the network.
        gradients: One value for each that trains.
        optimiser: What the optimiser keeps from step to step.
        copies: States of the network kept beside it, such as the best one.
        data: Images that stay on the device.
        step: What a step takes whatever the number of images, such as weights in bfloat16.
        per_image: What a step takes for each image, mostly what backward needs of forward.
    """

    parameters: int
    gradients: int
    optimiser: int
    copies: int
    data: int
    step: int
    per_image: int

    @property
    def constant(self) -> int:
        """All that does not grow with the batch."""
        state = self.parameters + self.gradients + self.optimiser + self.copies
        return state + self.data + self.step

    def at(self, batch_size: int) -> int:
        """Return what training in steps of ``batch_size`` images takes, in bytes."""
        return self.constant + batch_size * self.per_image

    def largest_batch(self, free_bytes: int) -> int:
        """Return how many images a step may have; 0 if not even one fits.

        Args:
            free_bytes: What the device has for this training, network and data included.
        """
        return max(0, free_bytes - self.constant) // max(1, self.per_image)

    def __str__(self) -> str:
        state = self.parameters + self.gradients + self.optimiser + self.copies
        return (
            f"{state / GIB:.2f} GiB for the network and its optimiser, {self.data / GIB:.2f} GiB "
            f"for images, {self.step / GIB:.2f} GiB per step and {self.per_image / GIB:.4f} GiB "
            "per image in a step"
        )


def estimate_memory(  # noqa: PLR0913 - a network, its images, and what is kept beside it
    network: nn.Module,
    compute: Compute,
    example_images: torch.Tensor,
    *,
    optimizer: OptimizerName,
    data_bytes: int = 0,
    copies: int = 1,
    computed: bool = True,
    like: Hashable = None,
) -> MemoryEstimate:
    """Return what it takes to train ``network`` as it stands.

    The network and the random state are as before afterwards.

    Args:
        network: In the modes, and with the parameters trainable, of the stage to come.
        compute: From images to outputs, through the network: normalisation, autocast and all.
        example_images: (n, C, *spatial) float32 in [0, 1] on the device, n at least 1; they are
            repeated as needed.
        optimizer: Which optimiser will train.
        data_bytes: Images that stay on the device.
        copies: States of the network that are kept beside it.
        computed: Whether the passes are computed; else they are followed without values if they can
            be, and on a GPU no kernel is built for batches of a few images.
        like: What is equal wherever the passes take equal memory; they are made once. None: for
            each call.
    """
    cuda = [example_images.device.index] if example_images.device.type == "cuda" else []

    def peak(count: int) -> int:
        work = partial(_peak, example_images, count)
        with unchanged(network), torch.random.fork_rng(devices=cuda):
            return follow(network, compute, work, compute=computed)

    few, twice = once(("peaks", like) if like else None, lambda: (peak(FEW), peak(TWICE)))
    per_image = max(0, -(-(twice - few) // (TWICE - FEW)))
    state = _nbytes([*network.parameters(), *network.buffers()])
    gradients = _nbytes(p for p in network.parameters() if p.requires_grad)
    return MemoryEstimate(
        parameters=state,
        gradients=gradients,
        optimiser=OPTIMISER_COPIES[optimizer] * gradients,
        copies=copies * state,
        data=data_bytes,
        step=max(0, few - FEW * per_image),
        per_image=per_image,
    )


def free_memory(device: str) -> int | None:
    """Return the bytes that this process has or could have on a device; None if nobody knows."""
    if not device.startswith("cuda"):
        return available_bytes()
    free, _ = torch.cuda.mem_get_info(torch.device(device))
    return free + torch.cuda.memory_reserved(torch.device(device))


@contextmanager
def explaining_shortage(estimate: MemoryEstimate | None, device: str) -> Iterator[None]:
    """Let :class:`OutOfMemory` say how many images at once would fit in the memory at hand."""
    try:
        yield
    except OutOfMemory as error:
        raise OutOfMemory(f"{error}. {_what_fits(estimate, device)}") from None


def _what_fits(estimate: MemoryEstimate | None, device: str) -> str:
    if estimate is None:
        return "The batch size that would fit is unknown: memory could not be estimated"
    free = free_memory(device)
    if free is None:
        return f"Estimated: {estimate}"
    fitting = estimate.largest_batch(free)
    return (
        f"There are {free / GIB:.1f} GiB for this training, estimated to fit "
        f"{f'{fitting} images at once' if fitting else 'not even one image'}"
    )


def _peak(images: torch.Tensor, count: int, compute: Compute) -> int:
    """Return the most bytes that a forward pass of ``count`` images holds at once."""
    saved = []  # for backward, as long as the pass runs

    def pack(tensor: torch.Tensor) -> None:
        # The graph gets nothing, as there is no backward pass: a tensor that it saves, and that
        # belongs to it as an output, would keep it and the network alive forever.
        saved.append(tensor.untyped_storage())

    with torch.inference_mode(mode=False), torch.enable_grad():
        with _LiveMemory() as live, saved_tensors_hooks(pack, lambda nothing: nothing):
            repeats = [-(-count // len(images))] + [1] * (images.ndim - 1)
            batch = images.repeat(repeats)[:count]
            outputs = compute(batch)
        del outputs, batch
    return live.peak


class _LiveMemory(TorchDispatchMode):
    """Counts the memory of tensors that operations make, as long as it is held.

    Attributes:
        peak: The most bytes held at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak, self._now = 0, 0
        self._known = WeakIdKeyDictionary()

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        for tensor in given:  # a result may be a view of what was there before
            self._known.setdefault(tensor.untyped_storage(), None)
        results = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(results):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor.untyped_storage())
        return results

    def _add(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        self._known[storage] = None
        nbytes = storage.nbytes()
        self._now += nbytes
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._release, nbytes)

    def _release(self, nbytes: int) -> None:
        self._now -= nbytes


def _nbytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)
