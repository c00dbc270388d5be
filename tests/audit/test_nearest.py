"""The few pictures that are worth a closer look, and from where it starts."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from benchmarks.audit.plants import ALTERED
from mritk.audit.nearest import MINIMUM, NEAREST, _best, nearest
from mritk.audit.queries import CENTRED, FRAMED, SMOOTH, Way
from mritk.audit.register import coarse_structure, halved, roughly_registered, warped
from mritk.audit.search import structure
from mritk.audit.starts import Starts
from mritk.audit.symmetry import Symmetry, symmetries

UPRIGHT, MIRRORED = (symmetries(2).index(Symmetry((0, 1), flipped)) for flipped in ((), (1,)))


def small_of(images) -> np.ndarray:
    """(N, 32, 32) float32."""
    square = [
        np.asarray(Image.fromarray(np.ascontiguousarray(i)).resize((128, 128))) for i in images
    ]
    return halved(halved(np.stack(square).astype(np.float32)))


def found_in(images) -> tuple[np.ndarray, Starts]:
    small = small_of(images)
    return small, nearest(small, small)


def only(found: Starts, one: int, other: int) -> Starts:
    (row,) = np.flatnonzero(
        (np.minimum(found.i, found.j) == one) & (np.maximum(found.i, found.j) == other)
    )
    return found[[row]]


@pytest.mark.parametrize(
    ("kind", "turn"),
    [
        ("turned by 5°", UPRIGHT),
        ("cropped by 8 % on every side", UPRIGHT),
        ("shifted by 8 %", UPRIGHT),
        ("flipped, turned by 3°", MIRRORED),
    ],
)
@pytest.mark.parametrize("tight", [False, True])
def test_a_copy_is_found_and_lies_upon_its_original_at_once(heads, kind, turn, tight):
    """Also if the head fills the frame, so that the centre of what is shown has moved."""
    images = [head[12:-12, 16:-16] if tight else head for head in heads[:10]]
    small, found = found_in([*images, *(ALTERED[kind](np.ascontiguousarray(i)) for i in images)])
    coarse = coarse_structure(small)
    for k in range(10):
        pair = only(found, k, k + 10)
        assert pair.turn == turn
        laid = symmetries(2)[turn].apply(coarse[pair.j])
        assert roughly_registered(coarse[pair.i], laid, pair.maps)[1] > 0.88


def test_every_pair_comes_once_and_none_is_a_picture_with_itself(heads):
    _, found = found_in(heads[:12])
    pairs = list(zip(found.i.tolist(), found.j.tolist(), strict=True))
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    assert all(i != j for i, j in pairs)
    assert pairs == sorted(pairs)


def test_the_picture_that_shows_more_is_the_one_that_others_are_laid_upon(heads):
    cropped = ALTERED["cropped by 8 % on every side"](heads[0])
    for images, wide in (([heads[0], cropped], 0), ([cropped, heads[0]], 1)):
        _, found = found_in(images)
        assert found.i.tolist() == [wide]
        assert np.linalg.det(found.maps[0, :, :2]) > 1


@pytest.mark.parametrize("turn", range(8))
def test_a_pair_the_other_way_round_says_the_same(turn):
    """Places of j that belong to places of i, and back again."""
    rng = np.random.default_rng(turn)
    maps = np.eye(2, 3) + rng.normal(0, 0.1, (1, 2, 3))
    one = Starts(np.array([5]), np.array([3]), np.array([turn]), maps, np.ones(1))
    other = one.in_order()
    assert (other.i[0], other.j[0]) == (3, 5)
    place = np.array([0.2, -0.1])

    def shown_by(pair: Starts, at: np.ndarray) -> np.ndarray:
        """Where the pair's other picture, before the symmetry, shows what is ``at`` in the one."""
        turned = pair.maps[0, :, :2] @ at + pair.maps[0, :, 2]
        return symmetries(2)[pair.turn[0]].matrix @ turned

    np.testing.assert_allclose(shown_by(other, shown_by(one, place)), place)


@pytest.mark.parametrize("turn", range(8))
def test_a_symmetry_has_a_matrix(turn):
    """Coordinates, transformed as a picture is, are those of the matrix."""
    symmetry = symmetries(2)[turn]
    places = np.stack(np.meshgrid([-1.0, 0, 1], [-1.0, 0, 1], indexing="ij"))
    shown = symmetry.apply(places)
    np.testing.assert_array_equal(shown, np.einsum("ab,bxy->axy", symmetry.matrix, places))


def test_blocks_of_pictures_give_what_all_at_once_give(heads, monkeypatch):
    _, at_once = found_in(heads[:12])
    monkeypatch.setattr("mritk.audit.nearest.BLOCK", 4)
    monkeypatch.setattr("mritk.audit.nearest.ACROSS", 5)
    _, blocked = found_in(heads[:12])
    for name in ("i", "j", "turn"):
        np.testing.assert_array_equal(getattr(blocked, name), getattr(at_once, name))
    # Sums of many rows are rounded otherwise than those of few.
    np.testing.assert_allclose(blocked.maps, at_once.maps, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("count", "likeness"), [(6, 0.5), (300, 0.5), (2500, 0.7), (2500, 0.99)])
def test_the_nearest_are_those_of_all_correlations_sorted(count, likeness):
    """``likeness``: 0.5, hardly any is near enough; 0.99, all are."""
    generator = np.random.default_rng(count)
    flat = likeness**0.5 + (1 - likeness) ** 0.5 * generator.normal(size=(count, 16))
    flat = (flat / np.linalg.norm(flat, axis=1, keepdims=True)).astype(np.float32)
    rows = np.arange(count // 2, count // 2 + 3)
    queries = [flat[rows], np.roll(flat[rows], 1, axis=1)]
    place, column, score, by = _best(queries, flat, rows)
    each = np.stack([query @ flat.T for query in queries])
    best = each.max(axis=0)
    best[np.arange(3), rows] = -1
    expected = [c[best[k, c] > MINIMUM][:NEAREST] for k, c in enumerate(np.argsort(-best))]
    for k, columns in enumerate(expected):
        np.testing.assert_array_equal(column[place == k], columns)
    np.testing.assert_allclose(score, best[place, column], rtol=1e-5)
    np.testing.assert_array_equal(by, each[:, place, column].argmax(axis=0))


@pytest.mark.parametrize("move", [*CENTRED, *FRAMED])
def test_a_move_seen_at_once_is_the_structure_of_the_moved_picture(heads, move):
    small = small_of(heads[:6])
    way = Way.about(np.zeros((6, 2)), small, (move,), (UPRIGHT,))
    moved = np.concatenate([move.matrix, np.reshape(move.shift, (2, 1))], axis=1)
    maps = np.broadcast_to(moved, (6, 2, 3))
    expected = structure(warped(small, maps)[0], SMOOTH)
    # What lies on the last pixel is sampled a thousandth of a pixel before it.
    np.testing.assert_allclose(way.vectors(move=move), expected, atol=1e-3)


def test_pictures_without_structure_resemble_nothing():
    flat = np.full((4, 32, 32), 200, np.float32)
    assert not Way.about(np.zeros((4, 2)), flat, FRAMED, (UPRIGHT,)).vectors(move=FRAMED[0]).any()
