"""Scans as batches for an autoencoder, and their sites."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from mritk import Setup, Subset, UsageError, images_at


class Scans:
    """The samples of a part, on the grid of a protocol."""

    def __init__(self, setup: Setup, subset: Subset) -> None:
        """Decode them, or look where they are kept.

        Raises:
            UsageError: Their sides cannot be halved as often as there are levels.
        """
        self._subset, self._device = subset, setup.device
        self._images = subset.images(setup.input_grid)
        self._named = bool(subset.samples.channels)
        self._dims = subset.samples.spatial_dims or 0
        self._colour = not self._named and len(self._images.shape) == self._dims + 2
        first = 2 if self._named else 1
        self.sides: tuple[int, ...] = tuple(self._images.shape[first : first + self._dims])
        divisor = 2**setup.parameters.levels
        if any(side % divisor for side in self.sides):
            raise UsageError(
                f"fader halves its input {setup.parameters.levels} times, but the input has "
                f"{'×'.join(map(str, self.sides))} voxels; set image_size or volume_size to a "
                f"multiple of {divisor} in the protocol, or fewer levels"
            )

    def __len__(self) -> int:
        return len(self._subset)

    @property
    def channels(self) -> int:
        """Number of channels of a batch."""
        if self._colour:
            return int(self._images.shape[-1])
        return int(self._images.shape[1]) if self._named else 1

    @property
    def spatial_dims(self) -> int:
        """2 or 3."""
        return self._dims

    def batch(self, rows: torch.Tensor) -> torch.Tensor:
        """Return scans, (N, C, *spatial) float32 in [0, 1] on the device."""
        here = images_at(self._images, rows.numpy())
        images = torch.from_numpy(here).to(self._device, non_blocking=True).float()
        if self._colour:
            return spread(images.movedim(-1, 1))
        return spread(images if self._named else images[:, None])

    def in_order(self, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield rows and their batch, ``size`` at most."""
        for rows in torch.arange(len(self)).split(size):
            yield rows, self.batch(rows)


def spread(images: torch.Tensor) -> torch.Tensor:
    """Return (N, C, *spatial) whose positive values span [0, 1] in each channel; 0 stays 0."""
    flat = images.flatten(2)
    inside = flat > 0
    low = torch.where(inside, flat, torch.inf).amin(dim=2, keepdim=True)
    high = flat.amax(dim=2, keepdim=True)
    span = (high - low).clamp_min(torch.finfo(flat.dtype).tiny)
    return torch.where(inside, (flat - low) / span, 0).view_as(images)


def sites_of(subset: Subset) -> list[str]:
    """Return the names of the sites of a part, sorted.

    Raises:
        UsageError: Sites are not known, of some samples or of all, or there is only one.
    """
    sites = subset.samples.sites or ()
    names = sorted(set(sites) - {""})
    if len(names) < 2:
        found = "no site" if not names else f"one site, {names[0]}"
        raise UsageError(
            f"fader needs samples of several sites, but there is {found}; give the dataset a "
            "column site, or use another method"
        )
    if without := sum(not site for site in sites):
        raise UsageError(
            f"{without} of {len(sites)} samples have no site, and would be a site of their own; "
            "add it in the dataset's column site or remove them, or use another method"
        )
    return names


def codes_of(sites: Sequence[str] | None, names: Sequence[str], count: int) -> torch.Tensor:
    """Return (count, K) float32 with 1 at the site of each sample; zeros where it is none of K."""
    codes = torch.zeros(count, len(names))
    place = {name: number for number, name in enumerate(names)}
    for row, site in enumerate(sites or ()):
        if site in place:
            codes[row, place[site]] = 1
    return codes
