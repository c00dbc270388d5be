"""Augmentations of 2-D images as batched tensor functions."""

from __future__ import annotations

from collections.abc import Iterator

from mritk import Augmentation, hookimpl, lazy

# Since the second, ghosts leave the mean as it is, and stripes are magnitudes.
REVISION = 2


@hookimpl
def mritk_augmentations() -> Iterator[Augmentation]:
    """Yield the general augmentations, the published policies, then what happens in a scanner."""
    yield Augmentation(
        "flip",
        lazy("mritk_augment.flip:flip"),
        spatial_dims=(2, 3),
        summary="flips half of the images",
    )
    yield Augmentation(
        "affine",
        lazy("mritk_augment.affine:affine"),
        summary="rotation, shift, shear, zoom in one resampling; brightness, contrast",
    )
    yield Augmentation(
        "rand_augment",
        lazy("mritk_augment.rand_augment:rand_augment"),
        summary="RandAugment: 2 of 14 operations at magnitude 9 of 30",
    )
    yield Augmentation(
        "trivial_augment",
        lazy("mritk_augment.trivial_augment:trivial_augment"),
        summary="TrivialAugment (wide): 1 of 14 operations at any magnitude",
    )
    yield Augmentation(
        "mri",
        lazy("mritk_augment.mri:mri"),
        revision=REVISION,
        summary="flip, small affine, gamma, bias field, noise; an artefact in 2 of 5 images",
    )
    yield Augmentation(
        "bias_field",
        lazy("mritk_augment.bias_field:bias_field"),
        summary="smooth shading, as from receive coils",
    )
    yield Augmentation(
        "rician_noise",
        lazy("mritk_augment.rician_noise:rician_noise"),
        spatial_dims=(2, 3),
        summary="Rician noise of magnitude images",
    )
    yield Augmentation(
        "gamma",
        lazy("mritk_augment.gamma:gamma"),
        spatial_dims=(2, 3),
        summary="random gamma correction",
    )
    yield Augmentation(
        "ghosting",
        lazy("mritk_augment.ghosting:ghosting"),
        revision=REVISION,
        summary="ghosts along one axis",
    )
    yield Augmentation(
        "motion",
        lazy("mritk_augment.motion:motion"),
        summary="head motion, twice during the scan",
    )
    yield Augmentation(
        "spike",
        lazy("mritk_augment.spike:spike"),
        revision=REVISION,
        summary="stripes from a single k-space spike",
    )
    yield Augmentation(
        "anisotropy",
        lazy("mritk_augment.anisotropy:anisotropy"),
        summary="lower resolution along one axis",
    )
