"""Keep a part of the data as near to the network as it fits, and cut batches from it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mritk.batches.transfer import CudaLink, DoubleBuffer, Link
from mritk.images.stored_images import StoredImages

logger = logging.getLogger("mritk")

# Share of a GPU's free memory that images may take; the rest is for the network.
MEMORY_SHARE = 0.4

DTYPES = {"uint8": torch.uint8, "float16": torch.float16, "float32": torch.float32}

# Images in one step while a part moves from disk to the device.
BLOCK = 256


class ResidentImages:
    """The images of a part: on the device if they fit there, else in host memory, else on disk.

    Pixels stay uint8 until a batch is on the device. A GPU whose memory is too small for the part
    gets each batch while it computes on the one before (:mod:`mritk.batches.transfer`). Whatever
    the way, a batch has the same values and the same order in memory.

    Attributes:
        device: Where batches are delivered.
        nbytes: What the part takes on the device; 0 if it is not kept there.
    """

    def __init__(
        self,
        images: np.ndarray | StoredImages,
        spatial_dims: int,
        device: str,
        link: Link | None = None,
        *,
        channels_first: bool = False,
    ) -> None:
        """Place ``images``, (N, *spatial) or (N, *spatial, C), uint8 or float32.

        With ``channels_first`` they are (N, C, *spatial), uint8, float16 or float32. With a
        ``link`` they stay where they are, and each batch is sent through it.
        """
        self.device, self.nbytes = device, 0
        self._channels_first = channels_first
        self._channels_last = not channels_first and images.ndim == spatial_dims + 2
        self._dtype = DTYPES[images.dtype.name]
        self.images = _as_tensor(images)
        self._buffers: DoubleBuffer | None = None
        if link is None and device.startswith("cuda"):
            if _fits(images.nbytes, device):
                self.images, self.nbytes = _moved(self.images, self._dtype, device), images.nbytes
                return
            link = CudaLink(device)
        if link is not None:
            self._buffers = DoubleBuffer(link)
        if link is not None or isinstance(images, StoredImages):
            logger.info(
                "%d images take %.1f GiB and do not fit on %s; each batch is read from %s",
                *(len(images), images.nbytes / 2**30, device),
                "disk" if isinstance(images, StoredImages) else "host memory",
            )

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the images at ``rows`` (B,) int64 as float32 (B, C, *spatial) in [0, 1].

        The batch is on the device, and a copy.
        """
        if self._buffers is None:
            return self._delivered(_select(self.images, rows))
        shape = (len(rows), *self.images.shape[1:])
        return self._delivered(
            self._buffers.send(lambda host: _select(self.images, rows, host), shape, self._dtype)
        )

    def batches(self, rows: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Yield the batch of each of ``rows``, as :meth:`batch` does.

        Nothing runs beside the caller; the iteration may be left at any time.
        """
        if self.nbytes:  # one transfer of all row numbers instead of one per batch
            lengths = [len(chosen) for chosen in rows]
            joined = torch.cat(tuple(rows)) if lengths else torch.empty(0, dtype=torch.int64)
            rows = joined.to(self.device, non_blocking=True).split(lengths)
        for chosen in rows:
            yield self.batch(chosen)

    def in_order(self, batch_size: int) -> Iterator[torch.Tensor]:
        """Yield all images in batches, the last one possibly smaller."""
        return self.batches(torch.arange(len(self)).split(batch_size) if len(self) else ())

    def _delivered(self, chosen: torch.Tensor) -> torch.Tensor:
        if not self._channels_first:
            chosen = chosen.movedim(-1, 1) if self._channels_last else chosen.unsqueeze(1)
        return chosen.div(255) if chosen.dtype == torch.uint8 else chosen.float()


def _as_tensor(images: np.ndarray | StoredImages) -> torch.Tensor | StoredImages:
    if isinstance(images, StoredImages):
        return images
    return torch.from_numpy(np.ascontiguousarray(images))


def _select(
    images: torch.Tensor | StoredImages, rows: torch.Tensor, out: torch.Tensor | None = None
) -> torch.Tensor:
    if isinstance(images, StoredImages):
        return torch.from_numpy(
            images.take(rows.cpu().numpy(), None if out is None else out.numpy())
        )
    return torch.index_select(images, 0, rows.to(images.device), out=out)


def _moved(images: torch.Tensor | StoredImages, dtype: torch.dtype, device: str) -> torch.Tensor:
    if isinstance(images, torch.Tensor):
        return images.to(device)
    there = torch.empty(images.shape, dtype=dtype, device=device)
    for rows in torch.arange(len(images)).split(BLOCK):
        there[rows[0] : rows[-1] + 1] = _select(images, rows)
    return there


def _fits(nbytes: int, device: str) -> bool:
    place = torch.device(device)
    free, _ = torch.cuda.mem_get_info(place)
    # What torch holds for later use is free too.
    held = torch.cuda.memory_reserved(place) - torch.cuda.memory_allocated(place)
    return nbytes <= MEMORY_SHARE * (free + held)
