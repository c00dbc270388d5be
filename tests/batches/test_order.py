"""Which images make each batch: every image, reproducibly, and what fills no batch."""

from __future__ import annotations

import pytest
import torch

from mritk.batches.order import Shuffled


def rows(count, size, seed, epoch, last_batch="rollover"):
    return torch.cat(Shuffled(count, size, seed, last_batch).batches(epoch)).tolist()


def test_an_epoch_holds_every_row_once():
    assert sorted(rows(12, 4, 0, 1)) == list(range(12))


def test_the_order_is_a_function_of_seed_and_epoch():
    first = rows(50, 10, 3, 7)
    torch.manual_seed(1)
    assert rows(50, 10, 3, 7) == first
    assert rows(50, 10, 3, 8) != first
    assert rows(50, 10, 4, 7) != first


def test_drawing_an_order_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    Shuffled(50, 10, 0).batches(1)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_incomplete_batch_is_left_out_but_its_rows_come_in_other_epochs():
    batches = Shuffled(11, 4, 0, "drop").batches(1)
    assert [len(batch) for batch in batches] == [4, 4]
    seen = {row for epoch in range(1, 21) for row in rows(11, 4, 0, epoch, last_batch="drop")}
    assert seen == set(range(11))


@pytest.mark.parametrize(("count", "sizes"), [(8, [4, 4]), (4, [4]), (3, [3]), (1, [1]), (5, [4])])
def test_sizes_of_batches(count, sizes):
    assert [len(batch) for batch in Shuffled(count, 4, 0).batches(1)] == sizes


def test_an_incomplete_last_batch_is_kept_on_request():
    batches = Shuffled(11, 4, 0, "keep").batches(1)
    assert [len(batch) for batch in batches] == [4, 4, 3]
    others = rows(11, 4, 0, 1, last_batch="drop")
    assert torch.cat(batches[:2]).tolist() == others, "the others are the same"


@pytest.mark.parametrize(("count", "size"), [(11, 4), (12, 4), (7, 5), (100, 32)])
def test_rolled_over_epochs_are_one_stream_cut_into_whole_batches(count, size):
    epochs = range(1, size + 1)  # after these, the stream ends with an epoch
    order = Shuffled(count, size, 3, "rollover")
    batches = [order.batches(epoch) for epoch in epochs]
    assert {len(batch) for of_epoch in batches for batch in of_epoch} == {size}
    stream = [row for e in epochs for row in rows(count, size, 3, e, last_batch="keep")]
    assert torch.cat([batch for of_epoch in batches for batch in of_epoch]).tolist() == stream
    assert [stream.count(row) for row in range(count)] == [len(epochs)] * count


def test_fewer_rows_than_a_batch_are_one_batch_of_their_own_size():
    for last_batch in ("drop", "keep", "rollover"):
        for epoch in (1, 2, 3):
            (batch,) = Shuffled(3, 4, 0, last_batch).batches(epoch)
            assert sorted(batch.tolist()) == [0, 1, 2]


@pytest.mark.parametrize("last_batch", ["drop", "keep", "rollover"])
@pytest.mark.parametrize("began", [0, 3, 7])
def test_the_steps_of_a_stage_are_known_beforehand(last_batch, began):
    """Wherever a stage begins in the stream it is never longer, and at most one step shorter."""
    for count in (3, 8, 11):
        order = Shuffled(count, 4, 0, last_batch)
        made = sum(len(order.batches(began + e)) for e in range(1, 6))
        expected = order.steps(5)
        assert made in ({expected} if last_batch != "rollover" else {expected, expected - 1})
