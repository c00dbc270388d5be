"""Images that stay on disk: the same pixels as an array, row by row, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from mritk.images.stored_images import StoredImages
from mritk.images.subset import Subset

WHOLE = np.random.default_rng(0).integers(0, 256, (9, 4, 5), dtype=np.uint8)
ROWS = np.array([7, 2, 5, 0])


@pytest.fixture
def stored(tmp_path) -> StoredImages:
    np.save(tmp_path / "whole.npy", WHOLE)
    return StoredImages(np.load(tmp_path / "whole.npy", mmap_mode="r"), ROWS)


def test_it_has_the_shape_of_the_array_that_it_stands_for(stored):
    array = WHOLE[ROWS]
    for name in ("shape", "dtype", "ndim", "nbytes"):
        assert getattr(stored, name) == getattr(array, name), name
    assert len(stored) == len(array)
    assert repr(stored) == "<images (4, 4, 5) uint8 on disk>"


@pytest.mark.parametrize("rows", [[0], [3, 1, 1], [], range(4)])
def test_rows_are_taken_in_the_order_asked_for_as_a_copy(stored, rows):
    taken = stored.take(rows)
    np.testing.assert_array_equal(taken, WHOLE[ROWS[list(rows)]])
    assert type(taken) is np.ndarray
    taken[:] = 0
    np.testing.assert_array_equal(stored.take(rows), WHOLE[ROWS[list(rows)]])


def test_rows_can_be_read_into_a_place_of_the_callers(stored):
    place = np.empty((2, 4, 5), dtype=np.uint8)
    assert stored.take([2, 0], place) is place
    np.testing.assert_array_equal(place, WHOLE[[5, 7]])


@pytest.mark.parametrize("rows", [[4], [-1], [0, 100]])
def test_rows_of_other_parts_cannot_be_taken(stored, rows):
    with pytest.raises(IndexError):
        stored.take(rows)


def test_numpy_reads_all_of_it_when_asked_to(stored):
    np.testing.assert_array_equal(np.asarray(stored), WHOLE[ROWS])
    assert np.asarray(stored, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="without reading them"):
        stored.__array__(copy=False)


def test_a_part_too_large_for_memory_is_given_like_this(make_samples, workspace, monkeypatch):
    whole = make_samples(10)
    part = Subset.of(whole, ROWS, workspace)
    array = part.images(None)
    assert type(array) is np.ndarray
    # Four images of 64 bytes.
    monkeypatch.setattr("mritk.machine.host_memory.available_bytes", lambda: 256)
    images = part.images(None)
    assert isinstance(images, StoredImages)
    np.testing.assert_array_equal(images.take([3, 0]), array[[3, 0]])
