"""What every augmentation promises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mritk.records import Augmentation
from mritk.testing.check import (
    Defect,
    NotApplicable,
    UnderTest,
    equal,
    is_sent_to_workers,
    promises,
    ranks_of,
)

if TYPE_CHECKING:
    import torch

SEEDS = range(6)  # an augmentation may leave an image as it is now and then
SIDES = {2: ((32, 32), (40, 33)), 3: ((16, 16, 16), (12, 16, 20))}
CLOSE = 1e-5
BEYOND = 0.75  # of the range of pixels; contrast, noise and interpolation overshoot


class AugmentationUnderTest(UnderTest[Augmentation]):
    """An augmentation, and smooth random batches for it."""

    def batch(self, count: int, channels: int, sides: tuple[int, ...]) -> torch.Tensor:
        """Return a batch (count, channels, *sides) in [0, 1] that is the same each time."""
        import torch

        generator = torch.Generator().manual_seed(len(sides) * 100 + count)
        return torch.rand((count, channels, *sides), generator=generator)

    def usual(self) -> Iterator[torch.Tensor]:
        """Yield four grey inputs of each declared rank, on each kind of device that is here."""
        import torch

        for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            for dims in ranks_of(self.record):
                yield self.batch(4, 1, SIDES[dims][0]).to(device)

    def apply(self, batch: torch.Tensor, seed: int) -> torch.Tensor:
        """Transform a batch with a fresh generator."""
        import torch

        if self.record.apply is None:
            raise NotApplicable("it does not change images")
        found = self.record.apply(batch, torch.Generator().manual_seed(seed))
        if not isinstance(found, torch.Tensor):
            raise Defect(f"it returns {type(found).__name__}, not a tensor")
        return found


def keeps_shape_dtype_and_device(it: AugmentationUnderTest) -> None:
    """What comes out is a finite batch of the same kind."""
    for batch in it.usual():
        for seed in SEEDS:
            found = it.apply(batch.clone(), seed)
            for what in ("shape", "dtype", "device"):
                if getattr(found, what) != getattr(batch, what):
                    raise Defect(
                        f"a batch with {what} {getattr(batch, what)} is returned with {what} "
                        f"{getattr(found, what)}"
                    )
            if not found.isfinite().all():
                raise Defect("some pixels become NaN or infinite")


def values_stay_those_of_pixels(it: AugmentationUnderTest) -> None:
    """What is normalised afterwards is about in [0, 1], as without augmentation."""
    for batch in it.usual():
        for seed in SEEDS:
            found = it.apply(batch.clone(), seed)
            low, high = float(found.min()), float(found.max())
            if low < -BEYOND or high > 1 + BEYOND:
                raise Defect(
                    f"pixels in [0, 1] become {low:.3g} to {high:.3g}, which the input contract "
                    "does not expect; scale or clamp them to [0, 1]"
                )


def takes_every_batch_it_declares(it: AugmentationUnderTest) -> None:
    """One image or five, grey or colour, square or not, in any layout of memory."""
    for dims in ranks_of(it.record):
        for sides in SIDES[dims]:
            for count, channels in ((1, 1), (5, 1), (2, 3)):
                batch = it.batch(count, channels, sides)
                for layout in (batch, batch.transpose(-1, -2).contiguous().transpose(-1, -2)):
                    try:
                        found = it.apply(layout.clone(), 0)
                    except (NotApplicable, Defect):
                        raise
                    except Exception as error:
                        raise Defect(f"a batch {tuple(batch.shape)} fails: {error}") from error
                    if found.shape != batch.shape:
                        raise Defect(f"{tuple(batch.shape)} becomes {tuple(found.shape)}")


def is_a_function_of_its_generator(it: AugmentationUnderTest) -> None:
    """The same generator gives the same images, whatever else was drawn, and draws nothing else."""
    import random

    import numpy as np
    import torch

    for batch in it.usual():
        for seed in SEEDS:
            first = it.apply(batch.clone(), seed)
            torch.manual_seed(1000 + seed)
            random.seed(seed)
            np.random.seed(seed)
            before = torch.get_rng_state()
            if not equal(first, it.apply(batch.clone(), seed)):
                raise Defect(
                    "two calls with the same generator differ; use generator=generator, never "
                    "the global state of torch, numpy or Python"
                )
            if not equal(before, torch.get_rng_state()):
                raise Defect("it uses torch's global random state; pass generator=generator")


def draws_for_each_image(it: AugmentationUnderTest) -> None:
    """Equal images of a batch differ afterwards, if what is done to them is drawn at all."""
    for batch in it.usual():
        alike = batch[:1].expand_as(batch)
        found = [it.apply(alike.clone(), seed) for seed in SEEDS for _ in range(2)]
        if not all(map(equal, found[::2], found[1::2])):
            raise NotApplicable("it is no function of its generator")
        within = max(float((one - one[:1]).abs().max()) for one in found)
        between = max(float((one - found[0]).abs().max()) for one in found)
        if within <= CLOSE < between:
            raise Defect(
                "all images of a batch get the same draw; draw len(images) numbers, one for each"
            )


def keeps_images_apart(it: AugmentationUnderTest) -> None:
    """No image reaches into another, whose label it does not have."""
    import torch

    for batch in it.usual():
        changed = batch.clone()
        changed[0] = 1 - changed[0]
        for seed in SEEDS:
            difference = (it.apply(batch.clone(), seed) - it.apply(changed.clone(), seed)).abs()
            if float(difference[1:].max()) > CLOSE:
                raise Defect(
                    "an image depends on others in the batch; labels do not change, so mixing "
                    "images belongs in a method (MixUp, CutMix)"
                )
        still = torch.zeros_like(batch)
        still[0] = batch[0]
        for seed in SEEDS:
            moved = it.apply(still.clone(), seed)[1:]
            if float((moved - it.apply(torch.zeros_like(batch), seed)[1:]).abs().max()) > CLOSE:
                raise Defect("images are reordered in the batch, but labels are not")


def leaves_its_input_alone(it: AugmentationUnderTest) -> None:
    """The batch that goes in is the same afterwards."""

    for batch in it.usual():
        for seed in SEEDS:
            given = batch.clone()
            it.apply(given, seed)
            if not equal(given, batch):
                raise Defect("it modifies its input, which may be the stored image; copy it first")


CHECKS = (*promises(__name__), is_sent_to_workers)


def check_augmentation(augmentation: Augmentation) -> None:
    """Check an augmentation, as ``registry.augmentation(name)`` returns it.

    Raises:
        Nonconforming: It breaks a promise of :data:`CHECKS`; all that were found are listed.
    """
    AugmentationUnderTest(augmentation).require(CHECKS)
