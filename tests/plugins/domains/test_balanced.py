"""In a batch, sites take turns."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from mritk import UsageError
from mritk_domains.balanced import Balanced

SITES = ["b"] * 31 + ["a"] * 7 + ["c"] * 22


def test_each_batch_holds_equally_many_samples_of_each_site_in_turns():
    order = Balanced.of(SITES, 14, seed=0)
    assert (order.each, order.size) == (4, 12)
    batches = order.batches(1)
    assert len(batches) == order.steps(1) == 60 // 12
    for batch in batches:
        assert [SITES[row] for row in batch] == ["a", "b", "c"] * 4
    assert order.steps(3) == 15


def test_a_small_site_is_used_again_and_equally_often():
    rows = torch.cat(Balanced.of(SITES, 12, seed=0).batches(1)).tolist()
    counts = Counter(row for row in rows if SITES[row] == "a")
    assert len(counts) == 7
    assert max(counts.values()) - min(counts.values()) <= 1
    large = [row for row in rows if SITES[row] == "b"]
    assert len(large) == len(set(large)) == 20


def test_the_order_is_a_function_of_seed_and_epoch():
    one, again, other = (Balanced.of(SITES, 12, seed=seed) for seed in (0, 0, 1))

    def rows(order, epoch):
        return torch.cat(order.batches(epoch)).tolist()

    one.batches(2)
    assert rows(one, 1) == rows(again, 1)
    assert rows(one, 1) != rows(one, 2)
    assert rows(one, 1) != rows(other, 1)


def test_one_sample_of_each_site_is_enough_where_a_sample_holds_many_values():
    assert Balanced.of(SITES, 5, seed=0, least=1).each == 1
    with pytest.raises(
        UsageError, match="needs 1 samples of each of 3 sites; raise batch_size to 3"
    ):
        Balanced.of(SITES, 2, seed=0, least=1)


def test_fewer_samples_than_a_batch_are_one_batch():
    order = Balanced.of(["a", "a", "b", "b", "b"], 24, seed=0)
    assert [len(batch) for batch in order.batches(1)] == [4]


@pytest.mark.parametrize(
    ("sites", "size", "told"),
    [
        (None, 12, "but there is no site; give the dataset a column site"),
        (["a"] * 9, 12, "but there is one site, a;"),
        (["", ""], 12, "but there is no site"),
        (["a", "a", ""], 12, "but there is one site, a;"),
        (["a", "b", ""] * 9, 12, "9 of 27 training samples have no site, and would be a site"),
        (["a", "b", "c"] * 9, 5, "needs 2 samples of each of 3 sites; raise batch_size to 6"),
        (["a", "b", "b"], 12, "2 samples of each of 2 sites"),
    ],
)
def test_data_without_several_sites_are_refused(sites, size, told):
    with pytest.raises(UsageError, match=told):
        Balanced.of(sites, size, seed=0)
