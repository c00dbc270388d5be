"""Taking places away, on a model whose decision rests on known places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mritk.explain.controls import random_places
from mritk.explain.faithfulness import faithfulness
from mritk.explain.volumes import file_name

SIDE = 8
BLOB = (slice(2, 4), slice(2, 4))


class Blob(nn.Module):
    """Tells class 1 by how far the blob is brighter than the head."""

    def forward(self, pixels):
        head, blob = pixels.mean(dim=(1, 2, 3)), pixels[:, 0, 2:4, 2:4].mean(dim=(1, 2))
        found = 20 * (blob - head - 0.2)
        return torch.stack([torch.zeros_like(found), found], dim=1)


@pytest.fixture
def pixels():
    """A head of 0.4 with a blob of 1.0, and nothing in the first column."""
    values = torch.full((1, SIDE, SIDE), 0.4)
    values[0][BLOB] = 1.0
    values[..., 0] = 0
    return values


def on(place):
    values = np.zeros((SIDE, SIDE), np.float32)
    values[place] = 1
    return values


def test_the_blob_is_what_it_rests_on(pixels):
    right = faithfulness(Blob(), pixels, 1, on(BLOB))
    wrong = faithfulness(Blob(), pixels, 1, on((slice(5, 7), slice(5, 7))))
    assert (right.kept, right.removed) == (1, 0)
    assert (wrong.kept, wrong.removed) == (0, 1)
    assert right.deletion < 0.2
    assert right.insertion > 0.8
    assert right.deletion < wrong.deletion
    assert right.insertion > wrong.insertion


def test_what_is_outside_of_the_head_changes_nothing(pixels):
    inside = on(BLOB)
    also_outside = inside.copy()
    also_outside[:, 0] = 5
    assert faithfulness(Blob(), pixels, 1, inside) == faithfulness(Blob(), pixels, 1, also_outside)


def test_random_places_are_within_the_head_and_belong_to_the_sample(pixels):
    found = random_places(pixels.numpy(), "a")
    assert not found[:, 0].any()
    assert found.max() > 0
    np.testing.assert_array_equal(found, random_places(pixels.numpy(), "a"))
    assert not np.array_equal(found, random_places(pixels.numpy(), "b"))


def test_files_are_named_after_samples():
    assert file_name("sub-01/anat/scan.nii.gz") == "sub-01_anat_scan"
    assert file_name("sub-01/func/bold.nii.gz#3") == "sub-01_func_bold_3"
    assert file_name("../..") == "sample"
