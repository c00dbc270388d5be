"""Apply an input contract: pixels in [0, 1] become what the weights expect.

It is applied behind the augmentation, which takes pixels in [0, 1]; so z-scores are those of the
augmented batch, in which :mod:`mritk.batches.augmented` keeps air at 0.
"""

from __future__ import annotations

import torch

from mritk.errors import UsageError
from mritk.images.input_contract import InputContract

# ITU-R BT.601 luma, the weights by which Pillow turns colour to grey.
LUMA = (0.299, 0.587, 0.114)


class Normalise:
    """``(pixel - mean) / std`` for a whole batch, as one multiplication and one addition.

    With ``named`` channels, such as MRI sequences, three of them are no colours.
    """

    def __init__(
        self, contract: InputContract, spatial_dims: int, device: str, *, named: bool = False
    ) -> None:
        shape = (1, contract.channels, *[1] * spatial_dims)
        mean = torch.tensor(contract.mean, device=device).reshape(shape)
        std = torch.tensor(contract.std, device=device).reshape(shape)
        self._scale, self._shift = 1 / std, -mean / std
        self._luma = torch.tensor(LUMA, device=device).reshape(1, 3, *[1] * spatial_dims)
        self._channels = contract.channels
        self._flip = contract.channel_order == "BGR"
        self._colours = 0 if named else 3
        self._zscore = contract.intensity == "zscore"

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """Turn (N, C, *spatial) in [0, 1] into (N, channels, *spatial).

        A single grey channel is repeated; colour becomes grey where the network takes one channel.

        Raises:
            UsageError: The number of channels cannot be brought to that of the network.
        """
        found = batch.shape[1]
        if found == self._colours and self._channels == 1:
            batch = (batch * self._luma).sum(dim=1, keepdim=True)
        elif found == self._colours and self._flip:
            batch = batch.flip(1)
        elif found not in (1, self._channels):
            raise UsageError(
                f"the network takes {self._channels} channels, but the images have {found}"
            )
        if self._zscore:
            batch = zscore(batch)
        return torch.addcmul(self._shift, batch, self._scale)


def zscore(batch: torch.Tensor) -> torch.Tensor:
    """Return each channel of each sample with mean 0 and standard deviation 1 where it is not 0.

    Args:
        batch: (N, C, *spatial), floats. A channel that holds one value besides 0 becomes 0.

    Returns:
        Of the same shape and dtype; what was 0 stays 0.
    """
    values = batch.flatten(2)
    inside = values != 0
    count = inside.sum(dim=2, keepdim=True).clamp_(min=1)
    mean = values.sum(dim=2, keepdim=True) / count
    centred = torch.where(inside, values - mean, 0)
    std = (centred.square().sum(dim=2, keepdim=True) / count).sqrt()
    return (centred / std.clamp_(min=1e-6)).reshape(batch.shape)
