"""Heads in one space are compared by what is their own; their copies are found all the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from mritk.audit import copies
from mritk.audit.copies import find_copies
from mritk.audit.image_index import image_index
from mritk.audit.in_common import ALIKE, LEAST, PATTERNS, Own
from mritk.audit.search import FINE, THRESHOLD, structure
from mritk.audit.symmetry import symmetries

COUNT = LEAST + 10
FEW = 18


@pytest.fixture(scope="module")
def heads():
    """Volumes (N, 24, 24, 24) uint8 of one pattern, to which each adds a weaker one of its own."""
    noise = np.random.default_rng(0).normal(size=(COUNT + 1, 24, 24, 24)).astype(np.float32)
    smooth = ndimage.gaussian_filter(noise, (0, 1.5, 1.5, 1.5))
    smooth /= smooth.std()
    return (128 + 36 * smooth[0] + 12 * smooth[1:]).clip(0, 255).astype(np.uint8)


def own(volumes):
    found = Own.of(structure(volumes, FINE).astype(np.float16))
    assert found is not None
    return found


def correlations(volumes):
    """Correlation of what is their own for all pairs."""
    i, j = np.triu_indices(len(volumes), 1)
    return own(volumes).correlation(i, j, np.zeros(len(i), np.int16))


def test_different_heads_of_one_space_are_no_longer_alike(heads):
    vectors = structure(heads).reshape(COUNT, -1)
    before = (vectors @ vectors.T)[np.triu_indices(COUNT, 1)]
    assert (before > THRESHOLD).mean() > 0.9
    assert (correlations(heads) > ALIKE).mean() < 0.02


def test_what_is_common_is_orthonormal_and_nothing_of_it_is_left(heads):
    found = own(heads)
    patterns = found.patterns
    assert patterns.shape[1] == PATTERNS
    np.testing.assert_allclose(patterns.T @ patterns, np.eye(PATTERNS), atol=1e-5)
    assert np.abs(found.left.astype(np.float32) @ patterns).max() < 1e-2
    # The directions in which the vectors are longest: an SVD is the oracle.
    flat = found.contours.reshape(COUNT, -1).astype(np.float32)
    oracle = np.linalg.svd(flat, full_matrices=False)[2][:PATTERNS]
    np.testing.assert_allclose(np.linalg.norm(oracle @ patterns, axis=1), 1, atol=1e-3)


@pytest.mark.parametrize("number", [0, 17, 40])
def test_a_turned_copy_is_alike_in_its_turn(heads, number):
    turn = symmetries(3)[number]
    # ``number`` lays row j upon row i.
    volumes = np.concatenate([heads, turn.inverse.apply(heads[:1])])
    rows = np.array([0]), np.array([COUNT]), np.array([number], np.int16)
    assert own(volumes).correlation(*rows) > 0.9


def test_many_copies_of_one_head_are_nothing_common(heads):
    noise = np.random.default_rng(1).integers(-3, 4, (COUNT // 2, *heads.shape[1:]))
    copied = (heads[:1].astype(int) + noise).clip(0, 255).astype(np.uint8)
    found = own(np.concatenate([heads, copied]))
    rows = np.arange(COUNT, len(copied) + COUNT)
    alike = found.correlation(np.zeros_like(rows), rows, np.zeros(len(rows), np.int16))
    assert alike.min() > 0.9


@pytest.mark.slow
def test_copies_among_registered_heads_are_found_and_few_pairs_compared(
    heads, as_samples, workspace, monkeypatch
):
    compared = []
    whole = copies.same_frames

    def same_frames(small, i, j, turn):
        compared.extend(zip(i.tolist(), j.tolist(), strict=True))
        return whole(small, i, j, turn)

    monkeypatch.setattr(copies, "same_frames", same_frames)
    brighter = (255 * (heads[3] / 255) ** 0.8).astype(np.uint8)
    volumes = [*heads, heads[0][:, ::-1], brighter]
    samples = replace(as_samples(volumes), spatial_dims=3)
    found = find_copies([image_index(samples, workspace)])
    assert {(pair.one, pair.other) for pair in found.pairs} == {(0, COUNT), (3, COUNT + 1)}
    assert len(compared) < len(volumes) ** 2 / 2 * 0.05


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 6, 9])
def test_all_copies_of_few_heads_are_found(heads, as_samples, workspace, monkeypatch, count):
    """Few are set lower here, since all pairs of different heads are compared in full."""
    monkeypatch.setattr("mritk.audit.in_common.LEAST", FEW)
    each = -(-FEW // count)
    exponents = np.linspace(0.9, 1.1, each)
    volumes = [
        (255 * (head / 255) ** e).astype(np.uint8) for e in exponents for head in heads[:count]
    ]
    samples = replace(as_samples(volumes), spatial_dims=3)
    found = find_copies([image_index(samples, workspace)])
    assert sorted(map(list, found.members)) == [
        list(range(head, len(volumes), count)) for head in range(count)
    ]
