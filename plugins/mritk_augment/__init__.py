"""Augmentations of images and volumes, as batched tensor functions; copies of data."""

from __future__ import annotations

from collections.abc import Iterator

from mritk import Augmentation, DatasetFamily, hookimpl, lazy

# The general ones, the published policies, then what happens in a scanner.
FUNCTIONS = {
    lazy("mritk_augment.flip:flip"): "flips half of the images",
    lazy("mritk_augment.affine:affine"): (
        "rotation, shift, shear, zoom in one resampling; brightness, contrast"
    ),
    lazy("mritk_augment.policy:rand_augment"): (
        "RandAugment: 2 of 14 operations at magnitude 9 of 30"
    ),
    lazy("mritk_augment.policy:trivial_augment"): (
        "TrivialAugment (wide): 1 of 14 operations at any magnitude"
    ),
    lazy("mritk_augment.mri:mri"): (
        "flip, small affine, gamma, bias field, noise; an artefact in 2 of 5 images"
    ),
    lazy("mritk_augment.bias_field:bias_field"): "smooth shading, as from receive coils",
    lazy("mritk_augment.rician_noise:rician_noise"): "Rician noise of magnitude images",
    lazy("mritk_augment.gamma:gamma"): "random gamma correction",
    lazy("mritk_augment.ghosting:ghosting"): "ghosts along one axis",
    lazy("mritk_augment.motion:motion"): "head motion, twice during the scan",
    lazy("mritk_augment.spike:spike"): "stripes from a single k-space spike",
    lazy("mritk_augment.anisotropy:anisotropy"): "lower resolution along one axis",
    lazy("mritk_augment.blur:blur"): "Gaussian blur",
    lazy("mritk_augment.crop:crop"): "a part of the image, resized",
    lazy("mritk_augment.swap:swap"): "20 pairs of patches change places",
    lazy("mritk_augment.dufumier2021:dufumier2021"): (
        "flip, blur, noise, crop, affine, four artefacts and swap, each in half of the images"
    ),
}
# Policies of photographs: of images in grey or colours.
OF_PHOTOGRAPHS = ("rand_augment", "trivial_augment")

# Since the second, ghosts leave the mean as it is, and stripes are magnitudes.
REVISED, REVISION = ("mri", "ghosting", "spike"), 2


@hookimpl
def mritk_augmentations() -> Iterator[Augmentation]:
    """Yield all of them, each by the name of its function."""
    for function, summary in FUNCTIONS.items():
        name = function.__qualname__
        yield Augmentation(
            name,
            function,
            spatial_dims=(2,) if name in OF_PHOTOGRAPHS else (2, 3),
            revision=REVISION if name in REVISED else 1,
            named_channels=name not in OF_PHOTOGRAPHS,
            summary=summary,
        )


@hookimpl
def mritk_datasets() -> Iterator[DatasetFamily]:
    """Yield ``augmented:DATASET``, which augments before training, not during it."""
    yield DatasetFamily(
        "augmented",
        lazy("mritk_augment.offline:resolve_offline"),
        placeholder="DATASET",
        options=lazy("mritk_augment.offline_options:Offline"),
        wraps=True,
        summary="a dataset with copies=5 deformed copies of each training sample",
    )
