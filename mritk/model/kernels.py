"""Run a network once so that the GPU's libraries build the kernels that it needs.

cuDNN builds kernels for each shape of a convolution when it first meets it, which takes 1 to 18 s
for a network (an H200, 2026-11-28). Those of the backward pass, the most, are built in the one
thread in which torch computes it, whoever asks; of those of the forward pass, which each thread
builds for itself, a second thread is spared about half.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from mritk.backbone import Backbone
from mritk.images.grid import Grid, Size
from mritk.machine.device import resolve_precision
from mritk.machine.precision import computing_in
from mritk.model.anew import build_anew


@dataclass(frozen=True)
class KernelCase:
    """A network and the batches that it will see.

    Attributes:
        backbone: The network.
        size: Side of its inputs, or one per axis; None: that of its input contract.
        batch: Images of a batch.
        precision: As in a protocol.
        trained: Whether there is a backward pass.
    """

    backbone: Backbone
    size: Size
    batch: int
    precision: str
    trained: bool

    @property
    def shape(self) -> tuple[int, ...] | None:
        """(N, C, H, W) of a batch; None for networks that are not 2-D."""
        size, dims = self.size or self.backbone.input.size, self.backbone.architecture.spatial_dims
        if dims != 2 or size is None:
            return None
        return (self.batch, self.backbone.input.channels, *(Grid(size).sides(dims) or ()))


def build_kernels(case: KernelCase, device: str) -> None:
    """Run a network of this kind once, without values and without random draws.

    Trainings draw from the same generators at the same time; so nothing is drawn here, neither
    weights nor what dropout leaves out.
    """
    shape = case.shape
    if shape is None:
        return
    with torch.device("meta"):
        network = build_anew(case.backbone.architecture)
    if not any(isinstance(module, _ConvNd) for module in network.modules()):
        return
    network.to_empty(device=device).to(memory_format=torch.channels_last)
    with torch.no_grad():  # zeros are valid wherever values are indices
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.zero_()
    network.eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.train(case.trained)
    batch = torch.zeros(shape, device=device).contiguous(memory_format=torch.channels_last)
    with (
        computing_in(resolve_precision(case.precision, device), device),
        torch.set_grad_enabled(case.trained),
    ):
        features = network(batch)
    if case.trained:
        features.float().sum().backward()
