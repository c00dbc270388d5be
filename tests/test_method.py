"""What a method is given."""

from __future__ import annotations

from dataclasses import fields

import pytest

from mritk import InputContract, Setup, UsageError


def test_there_is_no_test_part_in_a_setup():
    assert not [field.name for field in fields(Setup) if "test" in field.name]


def test_images_are_resized_to_the_protocols_size(make_setup):
    assert make_setup(image_size=24, volume_size=48).input_size == 24


def test_volumes_are_resized_to_the_protocols_volume_size(make_setup, bands):
    samples = bands(spatial_dims=3)
    assert make_setup(samples=samples, image_size=24, volume_size=48).input_size == 48


def test_native_size_is_what_the_backbone_declares(make_setup):
    assert make_setup(image_size=None, contract=InputContract(40)).input_size == 40
    assert make_setup(image_size=None, contract=InputContract(None)).input_size is None


def test_a_method_without_backbone_keeps_native_size(make_setup):
    assert make_setup(image_size=None, backbone=None).input_size is None


def test_a_backbone_that_is_needed_and_not_there(make_setup):
    with pytest.raises(UsageError, match="--backbone"):
        make_setup(backbone=None).require_backbone()
