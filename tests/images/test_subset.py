"""``Subset``: what a method sees of a dataset, and nothing of the rest."""

from __future__ import annotations

import numpy as np
import pytest

from mritk.images.subset import Subset


def test_a_subset_holds_its_own_rows_in_order(make_samples, workspace):
    whole = make_samples(6)
    part = Subset.of(whole, [4, 1], workspace)
    assert len(part) == 2
    assert part.samples.ids == ("s004", "s001")
    assert part.targets.tolist() == [whole.targets[4], whole.targets[1]]
    np.testing.assert_array_equal(part.read(0), whole.read(4))


def test_images_are_the_decoded_images_of_these_rows(make_samples, workspace):
    whole = make_samples(6)
    images = Subset.of(whole, [4, 1], workspace).images(None)
    assert images.shape == (2, 8, 8)
    np.testing.assert_array_equal(images, np.stack([whole.read(4), whole.read(1)]))


def test_writing_into_the_images_of_a_part_changes_nobody_elses(make_samples, workspace):
    whole = make_samples(6)
    part = Subset.of(whole, [0, 1, 2], workspace)
    part.images(None)[:] = 0
    np.testing.assert_array_equal(part.images(None)[0], whole.read(0))


def test_the_pixels_of_other_parts_cannot_be_reached_from_the_images(make_samples, workspace):
    images = Subset.of(make_samples(6), [0], workspace).images(None)
    reachable = images
    while getattr(reachable, "base", None) is not None:
        reachable = reachable.base
        assert getattr(reachable, "nbytes", 0) <= images.nbytes


@pytest.mark.parametrize("row", [2, 5])
def test_a_row_outside_a_subset_cannot_be_read(make_samples, workspace, row):
    with pytest.raises(IndexError):
        Subset.of(make_samples(6), [0, 1], workspace).read(row)


def test_a_subset_may_be_empty(make_samples, workspace):
    part = Subset.of(make_samples(6), [], workspace)
    assert len(part) == 0
    assert part.images(4).shape == (0, 4, 4)
