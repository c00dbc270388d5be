"""The floor: a network and a head that step on tensors which already lie where they are needed.

Nothing is decoded, augmented, normalised, shuffled, scheduled, selected or stored. What a training
loop costs beyond this is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from mritk.machine.device import resolve_precision
from mritk.plugins.registry import Registry

CLASSES = 4
# Steps before one is recorded.
WARM_UP = 3


class BareNetwork:
    """A randomly initialised backbone with a linear head, in training, with its batches.

    Attributes:
        batches: Normalised images (batch, 3, size, size) float32, channels last, on the device;
            volumes (batch, 1, size, size, size) for a network that takes them.
        dims: 2 for images, 3 for volumes.
        unseen: Images for the forward pass alone, in batches of at most 256.
    """

    def __init__(
        self, backbone: str, *, size: int, batch: int, steps: int, unseen: int, device: str
    ) -> None:
        self.device = device
        self._half = resolve_precision("auto", device) == "bfloat16"
        architecture = Registry.load(environ={}).backbone(f"{backbone}@scratch").architecture
        network = architecture.build().eval()
        self.dims = architecture.spatial_dims or 2
        self._format = torch.channels_last if self.dims == 2 else torch.contiguous_format
        self._shape = (architecture.input.channels, *[size] * self.dims)
        with torch.no_grad():
            features = network(torch.zeros(1, *self._shape)).shape[1]
        model = nn.Sequential(network, nn.Linear(features, CLASSES))
        self.model = model.to(device).to(memory_format=self._format)
        self.forward_flops = count_forward_flops(self.model, self._shape, device)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
        self._step: Callable[[torch.Tensor, torch.Tensor], None] = self._step_eagerly
        self.batches = [self._images(batch) for _ in range(steps)]
        self.labels = torch.arange(batch, device=device) % CLASSES
        self.unseen = [self._images(len(part)) for part in torch.arange(unseen).split(256)]

    def _images(self, count: int) -> torch.Tensor:
        images = torch.randn(count, *self._shape, device=self.device)
        return images.contiguous(memory_format=self._format)

    def train(self) -> None:
        """Make one step on each batch, and wait for the device."""
        self.train_on((images, self.labels) for images in self.batches)

    def train_on(self, batches: Iterable[Sequence[torch.Tensor]]) -> None:
        """Make one step on each pair of normalised images and labels, and wait for the device."""
        self.model.train()
        for images, labels in batches:
            here = images.to(self.device, memory_format=self._format, non_blocking=True)
            self._step(here, labels.to(self.device, non_blocking=True))
        self._wait()

    def replay_steps(self) -> None:
        """From here on, replay steps as one CUDA graph, with an optimiser that it can hold.

        All batches have the shape of the first. This makes a few steps.
        """
        rate = torch.tensor(1e-4, device=self.device)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=rate, fused=True, capturable=self.device != "cpu"
        )
        self.model.train()
        device = torch.device(self.device)
        images, labels = self.batches[0].clone(), self.labels.clone()
        usual, stream = torch.cuda.current_stream(device), torch.cuda.Stream(device)
        stream.wait_stream(usual)
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._step(images, labels)
        usual.wait_stream(stream)
        graph, step = torch.cuda.CUDAGraph(), self._step
        self.optimiser.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph, stream=stream):
            step(images, labels)

        def replay(new_images: torch.Tensor, new_labels: torch.Tensor) -> None:
            if new_images.shape != images.shape:  # what a loader may leave over
                step(new_images, new_labels)
                return
            images.copy_(new_images)
            labels.copy_(new_labels)
            graph.replay()

        self._step = replay

    def _step_eagerly(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        with self._autocast():
            outputs = self.model(images)
        functional.cross_entropy(outputs.float(), labels).backward()
        self.optimiser.step()

    def predict(self) -> None:
        """Run the forward pass alone on the unseen images, and wait for the device."""
        self.model.eval()
        with torch.inference_mode(), self._autocast():
            for images in self.unseen:
                self.model(images)
        self._wait()

    def _autocast(self) -> AbstractContextManager[None]:
        kind = torch.device(self.device).type
        return torch.autocast(kind, torch.bfloat16, enabled=self._half)

    def _wait(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)


def count_forward_flops(model: nn.Module, shape: Sequence[int], device: str) -> int:
    """Return the floating-point operations of the forward pass of one image, as torch counts them.

    Convolutions and matrix products, a multiplication and an addition being two operations.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, *shape, device=device))
    return int(counter.get_total_flops())
