"""Volumes: networks, linear baselines and uncertainty (after Dufumier et al. 2021).

The 3-D networks of the benchmark of Dufumier et al. (arXiv:2106.01132) and that of Kan et al.
(arXiv:2006.15969); the weights of MedicalNet and BrainIAC, which the user supplies; linear models
on voxels; a method that predicts distributions; OpenBHB. docs/volumes.md says what differs from the
publications. Yielding the records imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from mritk import (
    Architecture,
    DatasetFamily,
    InputContract,
    Method,
    ProtocolFile,
    Weights,
    hookimpl,
    lazy,
    packaged_text,
)

LOCATE = lazy("mritk_volumes.published:locate")
VOLUMES = 3
PROTOCOLS = {
    "volumes": "3-D networks, 100 epochs (arXiv:2106.01132)",
    "volumes_gaussian": "the same with mean and variance",
    "volumes_mc_dropout": "the same with dropout that stays",
    "volumes_concrete_dropout": "the same with dropout of a learned rate",
    "volumes_quick": "3-D networks in minutes on a CPU, for exploration",
    "voxel_ridge": "ridge regression on voxels",
    "voxel_logistic": "logistic regression on voxels",
    "voxel_mean": "the mean of the training set: ridge regression with too large a penalty",
}
DEPTHS = (18, 34, 50)
# Voxels as they are: a protocol crops or pads to its volume_size, which leaves proportions alone.
ZSCORE = InputContract(None, (0.0,), (1.0,), fit="crop_or_pad", intensity="zscore", minimum=32)
HALVED_FOUR_TIMES = replace(ZSCORE, minimum=16)
KAN = InputContract((58, 70, 58), (0.0,), (1.0,), minimum=22)
BRAINIAC_INPUT = InputContract(96, (0.0,), (1.0,), intensity="zscore", fixed=True)


@hookimpl
def mritk_backbones() -> Iterator[Architecture | Weights]:
    """Yield the networks for volumes, and the weights for those of MONAI."""
    yield Architecture(
        "tiny_densenet",
        lazy("mritk_volumes.tiny_densenet:build"),
        HALVED_FOUR_TIMES,
        lazy("mritk_volumes.tiny_densenet:stages"),
        spatial_dims=VOLUMES,
        summary="DenseNet of three blocks with growth 16, 392 features",
    )
    yield Architecture(
        "sfcn",
        lazy("mritk_volumes.plain_cnns:build_sfcn"),
        ZSCORE,
        spatial_dims=VOLUMES,
        summary="SFCN: six convolutions, 64 features",
    )
    yield Architecture(
        "tiny_vgg",
        lazy("mritk_volumes.plain_cnns:build_tiny_vgg"),
        ZSCORE,
        spatial_dims=VOLUMES,
        summary="ten narrow convolutions, 128 features",
    )
    yield Architecture(
        "mrinet3d",
        lazy("mritk_volumes.plain_cnns:build_mrinet3d"),
        KAN,
        spatial_dims=VOLUMES,
        summary="three convolutions at 58 × 70 × 58 voxels, 22,400 features",
    )
    yield from _of_monai()


def _of_monai() -> Iterator[Architecture | Weights]:
    yield Architecture(
        "densenet121_3d",
        lazy("mritk_volumes.from_monai:build_densenet121"),
        ZSCORE,
        spatial_dims=VOLUMES,
        summary="DenseNet-121 for volumes, 1,024 features (MONAI)",
    )
    for depth in DEPTHS:
        yield Architecture(
            f"resnet{depth}_3d",
            partial(lazy("mritk_volumes.from_monai:build_resnet"), depth),
            ZSCORE,
            spatial_dims=VOLUMES,
            summary=f"ResNet-{depth} for volumes in MedicalNet's layout (MONAI)",
        )
        yield Weights(
            f"resnet{depth}_3d",
            "medicalnet",
            partial(LOCATE, f"resnet_{depth}_23dataset.pth"),
            rename=lazy("mritk_volumes.layouts:medicalnet_tensors"),
            license="MIT",
            pretrained_on=("3DSeg-8", "and further sets of organs, 23 in all"),
            citation="Chen et al. 2019, arXiv:1904.00625",
            summary="segmentation of organs in CT and MRI of 23 data sets",
        )
    yield Architecture(
        "vit_b_3d",
        lazy("mritk_volumes.from_monai:build_vit"),
        BRAINIAC_INPUT,
        lazy("mritk_volumes.from_monai:vit_stages"),
        spatial_dims=VOLUMES,
        summary="ViT-B/16 for 96³ voxels, 768 features (MONAI)",
    )
    yield Weights(
        "vit_b_3d",
        "brainiac",
        partial(LOCATE, "BrainIAC.ckpt"),
        rename=lazy("mritk_volumes.layouts:brainiac_tensors"),
        license="non-commercial, see https://github.com/AIM-KannLab/BrainIAC",
        pretrained_on=("sets of brain MRI named in its paper",),
        citation="Tak et al. 2026, doi:10.1038/s41593-026-02202-6",
        summary="contrastive pretraining on brain MRI",
    )


@hookimpl
def mritk_methods() -> Iterator[Method]:
    """Yield the linear models of voxels, and fine-tuning that predicts distributions."""
    for name, task, summary in (
        ("voxel_ridge", "regression", "ridge regression on voxels"),
        ("voxel_logistic", "classification", "logistic regression on voxels"),
    ):
        yield Method(
            name,
            fit=lazy("mritk_volumes.voxels:fit_voxels"),
            parameters=lazy("mritk_volumes.voxels:VoxelRecipe"),
            uses_backbone=False,
            uses_augmentation=False,
            tasks=(task,),
            summary=summary,
        )
    yield Method(
        "probabilistic_finetune",
        fit=lazy("mritk_volumes.probabilistic:fit_probabilistic"),
        parameters=lazy("mritk_volumes.probabilistic_recipe:ProbabilisticRecipe"),
        tasks=("classification", "regression"),
        summary="fine-tuning with a Gaussian likelihood, MC or concrete dropout",
    )


@hookimpl
def mritk_protocols() -> Iterator[ProtocolFile]:
    """Yield the recipe of the benchmark, its uncertainty, and the baselines."""
    for name, summary in PROTOCOLS.items():
        text = partial(packaged_text, __package__, "protocols", f"{name}.toml")
        yield ProtocolFile(name, text, summary=summary)


@hookimpl
def mritk_datasets() -> Iterator[DatasetFamily]:
    """Yield the family ``openbhb:PATH``."""
    yield DatasetFamily(
        "openbhb",
        lazy("mritk_volumes.openbhb:resolve_openbhb"),
        placeholder="PATH",
        summary="OpenBHB with its official test parts; ,target=age or sex",
        options=lazy("mritk_volumes.openbhb:OpenBHBOptions"),
    )
