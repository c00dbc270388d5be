"""Keep a part of the data where the network is, and cut batches from it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from mritk.seeds import derive

# Share of a GPU's free memory that images may take; the rest is for the network.
MEMORY_SHARE = 0.4


class ResidentImages:
    """Images as one tensor: on the device if they fit there, else in host memory.

    Attributes:
        images: (N, C, *spatial) uint8 or float32.
        device: Where batches are delivered.
    """

    def __init__(self, images: np.ndarray, spatial_dims: int, device: str) -> None:
        tensor = torch.from_numpy(np.ascontiguousarray(images))
        has_channels = tensor.ndim == spatial_dims + 2
        tensor = tensor.movedim(-1, 1) if has_channels else tensor.unsqueeze(1)
        self.device = device
        self.images = tensor.to(device) if _fits(tensor, device) else tensor

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the images at ``rows`` as float32 in [0, 1] on the device."""
        chosen = self.images.index_select(0, rows.to(self.images.device))
        chosen = chosen.to(self.device, non_blocking=True)
        return chosen.float().div_(255) if chosen.dtype == torch.uint8 else chosen

    def in_order(self, batch_size: int) -> Iterator[torch.Tensor]:
        """Yield all images in batches, the last one possibly smaller."""
        for rows in torch.arange(len(self)).split(batch_size):
            yield self.batch(rows)


def shuffled(count: int, batch_size: int, seed: int, epoch: int) -> list[torch.Tensor]:
    """Return the row numbers of an epoch's batches: a function of seed and epoch alone.

    An incomplete last batch is left out (BatchNorm statistics of few samples harm, and shapes
    stay fixed), unless it is the only one.
    """
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    batches = torch.randperm(count, generator=generator).split(batch_size)
    return list(batches[:-1] if len(batches) > 1 and len(batches[-1]) < batch_size else batches)


def _fits(tensor: torch.Tensor, device: str) -> bool:
    if not device.startswith("cuda"):
        return True
    free, _ = torch.cuda.mem_get_info(torch.device(device))
    return tensor.nbytes <= MEMORY_SHARE * free
