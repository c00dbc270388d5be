"""Lesions and affines of samples: read where they are asked for, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from mritk.data.join import join
from mritk.images.subset import Subset


@pytest.fixture
def with_lesions(make_samples):
    """Samples whose lesion, and affine, is the number of the sample."""
    return make_samples(
        8,
        read_lesion=lambda i: np.full((8, 8), i, dtype=np.uint8),
        affine=lambda i: i * np.eye(4),
    )


def test_they_follow_the_rows_of_a_selection(with_lesions):
    some = with_lesions.only([5, 2]).only([1])
    assert some.ids == ("s002",)
    assert some.read_lesion(0).max() == 2
    assert some.affine(0)[0, 0] == 2


def test_no_fingerprint_depends_on_them(with_lesions, make_samples):
    assert with_lesions.fingerprint == make_samples(8).fingerprint


def test_methods_do_not_get_lesions(with_lesions, workspace):
    assert Subset.of(with_lesions, [0, 1], workspace).samples.read_lesion is None


def test_joined_data_have_them_if_all_have(with_lesions, make_samples):
    both = join([("a", with_lesions), ("b", with_lesions)], "a+b")
    assert both.read_lesion(8 + 3).max() == 3
    assert both.affine(8 + 3)[0, 0] == 3
    one = join([("a", with_lesions), ("b", make_samples(8))], "a+b")
    assert one.read_lesion is None
    assert one.affine is None
