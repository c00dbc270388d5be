"""What each documented input contract does to a pixel."""

from __future__ import annotations

import pytest
import torch

from mritk import InputContract
from mritk_radimagenet.contracts import CONTRACTS

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def apply(contract: InputContract, pixel: float) -> tuple[float, ...]:
    """Return the channels of a grey ``pixel`` of 0 to 255, as InputContract defines it."""
    pairs = zip(contract.mean, contract.std, strict=True)
    return tuple((pixel / 255 - mean) / std for mean, std in pairs)


def contract(name: str) -> InputContract:
    return CONTRACTS[name][0]


@pytest.mark.parametrize(("pixel", "expected"), [(0, -1), (127.5, 0), (255, 1)])
def test_by_default_pixels_go_from_minus_one_to_one(pixel: float, expected: float) -> None:
    assert apply(contract("radimagenet"), pixel) == pytest.approx((expected,) * 3)
    # The notebook's own formula.
    assert (pixel - 127.5) * 2 / 255 == expected


def keras_caffe_then_rescale(pixel: float) -> list[float]:
    """imagenet_utils.preprocess_input(mode="caffe") on BGR, then ImageDataGenerator's rescale."""
    return [(pixel - mean) * (1 / 255) for mean in (103.939, 116.779, 123.68)]


def monai(pixel: float) -> list[float]:
    """MONAI's RadImageNet wrapper: RGB to BGR, then subtract the means."""
    return [pixel / 255 - mean for mean in (0.406, 0.456, 0.485)]


def imagenet(pixel: float) -> list[float]:
    return [(pixel / 255 - m) / s for m, s in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]


@pytest.mark.parametrize("pixel", [0, 100, 127.5, 255])
@pytest.mark.parametrize(
    ("name", "formula", "order"),
    [
        ("radimagenet_caffe", keras_caffe_then_rescale, "BGR"),
        ("radimagenet_monai", monai, "BGR"),
        ("radimagenet_imagenet", imagenet, "RGB"),
    ],
)
def test_each_variant_does_what_its_source_does(name, formula, order: str, pixel: float) -> None:
    assert apply(contract(name), pixel) == pytest.approx(formula(pixel))
    assert contract(name).channel_order == order


def test_keras_caffe_mode_agrees_with_torch_arithmetic_on_a_batch() -> None:
    grey = torch.linspace(0, 255, 7)
    mean = torch.tensor(contract("radimagenet_caffe").mean)

    ours = grey[:, None] / 255 - mean
    keras = torch.tensor([keras_caffe_then_rescale(pixel) for pixel in grey.tolist()])

    torch.testing.assert_close(ours, keras, rtol=0, atol=1e-6)


def test_variants_differ_in_the_pixels_alone() -> None:
    assert {(c.size, c.interpolation) for c, _ in CONTRACTS.values()} == {(224, "bilinear")}
    assert all(contract.channels == 3 for contract, _ in CONTRACTS.values())
