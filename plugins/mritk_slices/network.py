"""A network for volumes around one for images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from mritk import Architecture, InputContract, StateDict, UsageError
from mritk.train import blocks_of
from mritk_slices import GATE, NETWORK, SliceOptions

# Axis of a batch (N, C, D, H, W) along which slices lie.
AXES = {"axial": 2, "coronal": 3, "sagittal": 4}
# Width of the hidden layer of the gate.
HIDDEN = 64
# Side at which the features of a network that takes any size are counted.
ANY_SIZE = 64


class SliceNetwork(nn.Module):
    """Features of volumes from those of their slices.

    Attributes:
        network: Maps images (N, C, H, W) to features (N, F).
        gate: Scores the features of a slice, for attention; else None.
    """

    def __init__(
        self,
        network: nn.Module,
        gate: nn.Module | None,
        options: SliceOptions,
        sides: tuple[int, int] | None,
        interpolation: str,
    ) -> None:
        super().__init__()
        self.network, self.gate, self._options = network, gate, options
        self._sides, self._interpolation = sides, interpolation

    def forward(self, volumes: torch.Tensor) -> torch.Tensor:
        """Map volumes (N, C, D, H, W) to features (N, F).

        Raises:
            UsageError: The volumes have fewer slices than are asked for.
        """
        images = self._slices(volumes)
        features: torch.Tensor = self.network(self._resized(images.flatten(0, 1)))
        return self._pooled(features.unflatten(0, images.shape[:2]))

    def _slices(self, volumes: torch.Tensor) -> torch.Tensor:
        """Return the middle slices of K equal parts, (N, K, C, h, w)."""
        name, count = self._options.axis, self._options.slices
        axis = AXES[name]
        length = volumes.shape[axis]
        if count > length:
            raise UsageError(
                f"the volumes have {length} {name} slices, fewer than slices={count}; write "
                f"slices={length} or less"
            )
        places = [(2 * k + 1) * length // (2 * count) for k in range(count)]
        chosen = volumes.index_select(axis, torch.tensor(places, device=volumes.device))
        return chosen.movedim(axis, 1)

    def _resized(self, images: torch.Tensor) -> torch.Tensor:
        """Return images (N, C, H, W) at the sides of the network."""
        if self._sides is None or images.shape[-2:] == self._sides:
            return images
        mode = self._interpolation
        return functional.interpolate(images, self._sides, mode=mode, antialias=mode != "nearest")

    def _pooled(self, features: torch.Tensor) -> torch.Tensor:
        """Return (N, F) of the features (N, K, F) of slices."""
        if self.gate is not None:
            return (self.gate(features).softmax(1) * features).sum(1)
        return features.amax(1) if self._options.pool == "max" else features.mean(1)


def build(
    inner: Callable[[], nn.Module], contract: InputContract, options: SliceOptions
) -> SliceNetwork:
    """Return a network for volumes around a newly initialised one for images.

    Args:
        inner: Builds the one for images.
        contract: What that one takes.
        options: See :class:`mritk_slices.SliceOptions`.
    """
    network = inner()
    size = options.size or contract.size
    sides = (size, size) if isinstance(size, int) else size and (size[0], size[1])
    gate = None
    if options.pool == "attention":
        tried = sides or (max(ANY_SIZE, contract.minimum or 0),) * 2
        gate = _gate(_features(network, (contract.channels, *tried)))
    return SliceNetwork(network, gate, options, sides, contract.interpolation)


def _gate(features: int) -> nn.Module:
    """Return what scores features (…, F) as (…, 1): all as 0 at first, which gives their mean.

    Its form is that of Ilse et al., ICML 2018.
    """
    last = nn.Linear(HIDDEN, 1, bias=False)
    nn.init.zeros_(last.weight)
    return nn.Sequential(nn.Linear(features, HIDDEN), nn.Tanh(), last)


def _features(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Return how many features a network has for an image of this shape."""
    modes = {module: module.training for module in network.modules()}
    network.eval()  # the statistics of norms stay as they are
    with torch.no_grad():
        features = network(torch.zeros(1, *shape))
    for module, training in modes.items():
        module.training = training
    return int(features.shape[1])


def stages(architecture: Architecture, network: SliceNetwork) -> Sequence[tuple[str, list[str]]]:
    """Return the blocks of the network for images, and the gate as the last one."""
    found = [
        (block.name, [f"{NETWORK}{name}" for name in block.tensors])
        for block in blocks_of(network.network, architecture)
    ]
    gate = [name for name in network.state_dict() if name.startswith(GATE)]
    return [*found, ("gate", gate)] if gate else found


def inner_tensors(
    rename: Callable[[StateDict], StateDict] | None, found: StateDict
) -> dict[str, torch.Tensor]:
    """Return the tensors of a file for images under their names in a network for volumes."""
    own = found if rename is None else rename(found)
    return {f"{NETWORK}{name}": tensor for name, tensor in own.items()}
