"""``derive``: one seed for each purpose, the same for ever."""

from __future__ import annotations

import hashlib

import pytest

from mritk.seeds import derive


@pytest.mark.parametrize(
    ("parts", "seed"),
    [
        ((0,), 7520536977032167579),
        ((1,), 289725068058742651),
        (("augment", 0, 1), 1286252498027958265),
    ],
)
def test_known_seeds_never_change(parts, seed):
    """Else no stored trial could be repeated."""
    assert derive(*parts) == seed


def test_a_seed_is_the_head_of_a_sha256():
    head = hashlib.sha256(b'[7, "dropout", 3]').digest()[:8]
    assert derive(7, "dropout", 3) == int.from_bytes(head, "big") // 2


def test_seeds_fit_into_63_bits_and_differ():
    seeds = {derive(seed, "order", epoch) for seed in range(40) for epoch in range(40)}
    assert len(seeds) == 1600
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62, "the range is used"


def test_the_order_of_parts_counts():
    assert derive("a", "b") != derive("b", "a")
    assert derive(1, 23) != derive(12, 3)


def test_a_slash_in_a_part_does_not_make_it_two_parts():
    assert derive("a/b", "c") != derive("a", "b/c")
