"""The curated names: which timm model and which published weights stand behind each.

``@imagenet`` always means supervised training on ImageNet-1k alone. Where torchvision trained the
architecture its weights are taken (timm's tag ``tv_in1k``), because they share one plain recipe
and the architecture with RadImageNet's files, so that a comparison changes only the pretraining
data. timm's defaults, which often are other recipes, stay reachable as ``timm:NAME``.

The input contracts, licences and classifier names are those of timm's own model cards, written
out here because listing names must not import timm; a test compares each with the card.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from mritk import Architecture, InputContract, Weights, lazy
from mritk_timm import lite0
from mritk_timm.hub import locate_on_hub

RESNET = "He et al. 2016, arXiv:1512.03385"
RESNET_A1 = "Wightman et al. 2021, arXiv:2110.00476"
DENSENET = "Huang et al. 2017, arXiv:1608.06993"
INCEPTION = "Szegedy et al. 2016, arXiv:1512.00567"
VGG = "Simonyan and Zisserman 2015, arXiv:1409.1556"
CONVNEXT = "Liu et al. 2022, arXiv:2201.03545"
EFFICIENTNET = "Tan and Le 2019, arXiv:1905.11946"
EFFICIENTNET_V2 = "Tan and Le 2021, arXiv:2104.00298"
AUGREG = "Steiner et al. 2022, arXiv:2106.10270"
DINO = "Caron et al. 2021, arXiv:2104.14294"
DINO_V2 = "Oquab et al. 2024, arXiv:2304.07193"


def _card(size: int = 224, interpolation: str = "bicubic") -> InputContract:
    """Return a contract with the mean and std of ImageNet."""
    return InputContract(size, interpolation=interpolation)


def _inception_card(size: int = 224) -> InputContract:
    """Return a contract that maps pixels to [-1, 1], as Google's models expect."""
    return InputContract(size, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic")


class Published(NamedTuple):
    """One row: the name behind the ``@``, timm's tag for it, and what timm's card says."""

    name: str
    tag: str
    input: InputContract
    citation: str
    license: str = "apache-2.0"
    pretrained_on: tuple[str, ...] = ("ImageNet-1k",)


class Curated(NamedTuple):
    """One architecture; the first of its weights is its default.

    Attributes:
        name: mritk's name.
        model: timm's name.
        classifier: Name of the classifier in timm's files, which the backbone does not have.
    """

    name: str
    model: str
    summary: str
    classifier: str
    weights: tuple[Published, ...]


# Side of the input and width of the features of EfficientNet-B0 to B5.
LADDER = ((224, 1280), (240, 1280), (260, 1408), (300, 1536), (380, 1792), (456, 2048))
IMAGENET_21K = ("ImageNet-21k", "ImageNet-1k")
BSD = "bsd-3-clause"

CURATED: tuple[Curated, ...] = (
    Curated(
        "convnext_tiny", "convnext_tiny", "ConvNeXt-Tiny, 768 features", "head.fc",
        (
            Published("imagenet", "fb_in1k", _card(), CONVNEXT),
            Published(
                "imagenet21k", "fb_in22k_ft_in1k", _card(), CONVNEXT, pretrained_on=IMAGENET_21K
            ),
        ),
    ),
    Curated(
        "efficientnetv2_s", "tf_efficientnetv2_s", "EfficientNetV2-S, 1280 features", "classifier",
        (
            Published("imagenet", "in1k", _inception_card(300), EFFICIENTNET_V2),
            Published(
                "imagenet21k", "in21k_ft_in1k", _inception_card(300), EFFICIENTNET_V2,
                pretrained_on=IMAGENET_21K,
            ),
        ),
    ),
    *(
        Curated(
            f"efficientnet_b{n}",
            f"tf_efficientnet_b{n}",
            f"EfficientNet-B{n}, {features} features",
            "classifier",
            (Published("imagenet", "in1k", _card(size), EFFICIENTNET),),
        )
        for n, (size, features) in enumerate(LADDER)
    ),
    *(
        Curated(
            f"resnet{depth}", f"resnet{depth}", f"ResNet-{depth}, {features} features", "fc",
            (
                Published("imagenet", "tv_in1k", _card(224, "bilinear"), RESNET, BSD),
                Published("imagenet_a1", "a1_in1k", _card(), RESNET_A1),
            ),
        )
        for depth, features in ((18, 512), (50, 2048))
    ),
    Curated(
        "densenet121", "densenet121", "DenseNet-121, 1024 features", "classifier",
        (
            Published("imagenet", "tv_in1k", _card(), DENSENET),
            Published("imagenet_ra", "ra_in1k", _card(), DENSENET),
        ),
    ),
    Curated(
        "inception_v3", "inception_v3", "Inception-v3, 2048 features", "fc",
        (Published("imagenet", "tv_in1k", _inception_card(299), INCEPTION),),
    ),
    Curated(
        "vgg16", "vgg16", "VGG-16 up to its second hidden layer, 4096 features", "head.fc",
        (Published("imagenet", "tv_in1k", _card(224, "bilinear"), VGG, BSD),),
    ),
    Curated(
        "vit_small", "vit_small_patch16_224", "ViT-S/16, 384 features", "head",
        (
            Published("imagenet", "augreg_in1k", _inception_card(), AUGREG),
            Published(
                "imagenet21k", "augreg_in21k_ft_in1k", _inception_card(), AUGREG,
                pretrained_on=IMAGENET_21K,
            ),
            Published("dino", "dino", _card(), DINO),
        ),
    ),
    Curated(
        "dinov2_small", "vit_small_patch14_dinov2", "DINOv2 ViT-S/14, 384 features", "head",
        (Published("lvd142m", "lvd142m", _card(518), DINO_V2, pretrained_on=("LVD-142M",)),),
    ),
)  # fmt: skip


def curated_records() -> Iterator[Architecture | Weights]:
    """Yield the architecture and the weights of each curated row, and EfficientNet-Lite0."""
    for row in CURATED:
        yield Architecture(
            row.name,
            partial(lazy("mritk_timm.network:build"), row.model),
            row.weights[0].input,
            lazy("mritk_timm.blocks:blocks"),
            default_weights=row.weights[0].name,
            summary=row.summary,
        )
        for published in row.weights:
            yield _weights(row, published)
    yield from lite0.records()


def _weights(row: Curated, published: Published) -> Weights:
    return Weights(
        row.name,
        published.name,
        partial(locate_on_hub, f"timm/{row.model}.{published.tag}"),
        published.input,
        rename=partial(lazy("mritk_timm.tensors:network_tensors"), row.model, (row.classifier,)),
        license=published.license,
        pretrained_on=published.pretrained_on,
        citation=published.citation,
        summary=f"timm's {row.model}.{published.tag}",
    )
