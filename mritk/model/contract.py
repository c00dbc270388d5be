"""Apply an input contract: pixels in [0, 1] become what the weights expect."""

from __future__ import annotations

import torch

from mritk.errors import UsageError
from mritk.records import InputContract

# ITU-R BT.601 luma, the weights by which Pillow turns colour to grey.
LUMA = (0.299, 0.587, 0.114)


class Normalise:
    """``(pixel - mean) / std`` for a whole batch, as one multiplication and one addition."""

    def __init__(self, contract: InputContract, spatial_dims: int, device: str) -> None:
        shape = (1, contract.channels, *[1] * spatial_dims)
        mean = torch.tensor(contract.mean, device=device).reshape(shape)
        std = torch.tensor(contract.std, device=device).reshape(shape)
        self._scale, self._shift = 1 / std, -mean / std
        self._luma = torch.tensor(LUMA, device=device).reshape(1, 3, *[1] * spatial_dims)
        self._channels = contract.channels
        self._flip = contract.channel_order == "BGR"

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """Turn (N, C, *spatial) in [0, 1] into (N, channels, *spatial).

        A single grey channel is repeated; colour becomes grey where the network takes one channel.

        Raises:
            UsageError: The number of channels cannot be brought to that of the network.
        """
        found = batch.shape[1]
        if found == 3 and self._channels == 1:
            batch = (batch * self._luma).sum(dim=1, keepdim=True)
        elif found == 3 and self._flip:
            batch = batch.flip(1)
        elif found not in (1, self._channels):
            raise UsageError(
                f"the network takes {self._channels} channels, but the images have {found}"
            )
        return torch.addcmul(self._shift, batch, self._scale)
