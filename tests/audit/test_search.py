"""The search finds every pair above its threshold: brute force is the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mritk.audit import search
from mritk.audit.search import THRESHOLD, Shortened, candidates, structure
from mritk.audit.symmetry import symmetries


@pytest.fixture
def pictures(heads):
    small = [head[16:80, 16:80] for head in heads]
    turned = [turn.apply(small[k]) for k, turn in enumerate(symmetries(2))]
    faint = [small[0] // 3 + 60, np.clip(small[1] * 1.3, 0, 255)]
    return np.stack([*small, *turned, *faint, np.zeros((64, 64))]).astype(np.uint8)


def brute_force(vectors):
    """Return {(i, j): the best product over all symmetries} above the threshold."""
    found = {}
    turns = symmetries(vectors.ndim - 1)
    for i in range(len(vectors)):
        for j in range(i + 1, len(vectors)):
            best = max(float((vectors[i] * turn.apply(vectors[j])).sum()) for turn in turns)
            if best > THRESHOLD:
                found[i, j] = best
    return found


@pytest.mark.parametrize(("rows", "columns"), [(512, 4096), (5, 7), (3, 3)])
def test_it_finds_what_brute_force_finds(pictures, monkeypatch, rows, columns):
    monkeypatch.setattr(search, "ROWS", rows)
    monkeypatch.setattr(search, "COLUMNS", columns)
    vectors = structure(pictures)
    expected = brute_force(vectors)
    turns = symmetries(2)
    found = [
        (int(i), int(j), turns[t])
        for block in candidates(vectors)
        for i, j, t in zip(*block, strict=True)
    ]
    assert len(found) == len({(i, j) for i, j, _ in found})
    assert {(i, j) for i, j, _ in found} == set(expected)
    for i, j, turn in found:
        product = float((vectors[i] * turn.apply(vectors[j])).sum())
        assert product == pytest.approx(expected[i, j], abs=1e-5)
    assert {(0, 12), (1, 13), (7, 19), (0, 20)} <= set(expected)


def test_volumes_are_found_in_every_orientation():
    noise = np.random.default_rng(0).normal(size=(3, 24, 24, 24))
    smooth = ndimage.gaussian_filter(noise, (0, 3, 3, 3))
    volumes = (128 + 50 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)
    turned = np.stack([symmetries(3)[17].apply(volumes[1]), symmetries(3)[40].apply(volumes[2])])
    blocks = list(candidates(structure(np.concatenate([volumes, turned]))))
    assert {(int(i), int(j)) for b in blocks for i, j in zip(*b[:2], strict=True)} == {
        (1, 3),
        (2, 4),
    }


def test_a_picture_without_structure_is_no_candidate():
    flat = np.full((4, 64, 64), 9, np.uint8)
    assert not structure(flat).any()
    assert not list(candidates(structure(flat)))


def test_shortened_vectors_never_lose_a_pair(monkeypatch, pictures):
    monkeypatch.setattr(search, "COORDINATES", 3)
    vectors = structure(pictures)
    flat = vectors.reshape(len(vectors), -1)
    short = Shortened.fit(vectors)(flat)
    assert short.shape == (len(flat), 4)
    assert (short @ short.T >= flat @ flat.T - 1e-5).all()


def test_progress_goes_from_nothing_to_all(pictures, monkeypatch):
    monkeypatch.setattr(search, "ROWS", 4)
    told = []
    list(candidates(structure(pictures), told.append))
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1, abs=0.01)
