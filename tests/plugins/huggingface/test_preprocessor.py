"""``preprocessor_config.json`` becomes an input contract with the same arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from mritk_huggingface.preprocessor import contract_of

RGB = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]}


@pytest.mark.parametrize(
    ("stated", "size"),
    [
        ({"size": 224}, 224),
        ({"size": {"height": 384, "width": 384}}, 384),
        ({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}, 224),
        ({"size": {"shortest_edge": 256}, "do_center_crop": False, "crop_size": 224}, 256),
        ({"size": [160, 160]}, 160),
        ({"size": {"height": 384, "width": 128}}, (384, 128)),
        ({"size": {"longest_edge": 512}}, 512),
        ({"size": {"height": None, "width": None, "shortest_edge": 256}}, 256),
        ({"size": [3, 224, 224]}, 224),
        ({"size": {"shortest_edge": 800, "longest_edge": 1333}}, 800),
        ({}, 96),
    ],
)
def test_the_size_is_that_of_the_crop_else_of_resizing_else_of_the_network(stated, size) -> None:
    assert contract_of(RGB | stated, {"image_size": 96}).size == size


@pytest.mark.slow  # the import of transformers takes seconds
@pytest.mark.parametrize(
    ("kind", "stated"),
    [
        ("ViTImageProcessor", {}),
        ("ViTImageProcessor", {"rescale_factor": 1 / 127.5}),
        ("ViTImageProcessor", {"do_rescale": False}),
        ("ViTImageProcessor", {"do_normalize": False}),
        ("EfficientNetImageProcessor", {}),
        ("EfficientNetImageProcessor", {"do_normalize": False}),
        ("EfficientNetImageProcessor", {"include_top": False}),
        ("EfficientNetImageProcessor", {"rescale_factor": 1 / 127.5, "rescale_offset": True}),
        ("EfficientNetImageProcessor", {"do_rescale": False, "rescale_offset": True}),
    ],
)
def test_the_contract_does_to_pixels_what_the_image_processor_does(kind, stated) -> None:
    transformers = pytest.importorskip("transformers")
    preprocessor = RGB | {"size": {"height": 8, "width": 8}} | stated
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)

    theirs = getattr(transformers, kind)(**preprocessor)(image, return_tensors="np")
    contract = contract_of(preprocessor | {"image_processor_type": kind}, {})
    ours = (image / 255 - np.asarray(contract.mean)) / np.asarray(contract.std)

    expected = np.asarray(theirs["pixel_values"])[0].transpose(1, 2, 0)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)


def test_filters_and_the_order_of_channels_are_kept() -> None:
    contract = contract_of(RGB | {"resample": 3, "do_flip_channel_order": True}, {})
    assert (contract.interpolation, contract.channel_order) == ("bicubic", "BGR")
    assert contract_of(RGB, {}).interpolation == "bilinear"
    assert contract_of(RGB | {"resample": 2}, {}).channel_order == "RGB"


def test_a_grey_network_has_one_channel() -> None:
    assert contract_of(RGB, {"num_channels": 1}).mean == (0.1,)
