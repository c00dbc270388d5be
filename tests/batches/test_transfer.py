"""Batches through two host buffers, proven without a GPU on a link that is late on purpose."""

from __future__ import annotations

import pytest
import torch

from mritk.batches.transfer import BUFFERS, DoubleBuffer


class LateLink:
    """Copies a buffer at the last moment: when somebody waits for it, or at the end."""

    def __init__(self) -> None:
        self.made, self.waits = 0, 0
        self._pending = []

    def buffer(self, shape, dtype):
        self.made += 1
        return torch.empty(tuple(shape), dtype=dtype)

    def send(self, host):
        there = torch.full_like(host, 99)
        pending = [lambda: there.copy_(host)]
        self._pending.append(pending)
        return there, _Pending(self, pending)

    def finish(self):
        for pending in self._pending:
            complete(pending)


class _Pending:
    def __init__(self, link, pending):
        self._link, self._pending = link, pending

    def synchronize(self):
        self._link.waits += 1
        complete(self._pending)


def complete(pending):
    while pending:
        pending.pop()()


def send(buffers, value, count=3):
    return buffers.send(lambda host: host.fill_(value), (count, 2), torch.uint8)


def test_no_buffer_is_overwritten_while_it_travels():
    link = LateLink()
    buffers = DoubleBuffer(link)
    sent = [send(buffers, value) for value in range(7)]
    link.finish()
    assert [batch.unique().tolist() for batch in sent] == [[value] for value in range(7)]


def test_a_buffer_is_filled_while_the_other_travels():
    link = LateLink()
    buffers = DoubleBuffer(link)
    first = send(buffers, 1)
    send(buffers, 2)
    assert link.waits == 0
    assert first.unique().tolist() == [99], "on its way"
    send(buffers, 3)
    assert link.waits == 1
    assert first.unique().tolist() == [1]


def test_buffers_are_made_once_and_serve_smaller_batches_too():
    link = LateLink()
    buffers = DoubleBuffer(link)
    shapes = [send(buffers, value, count).shape[0] for value, count in enumerate([4, 4, 3, 1, 4])]
    assert shapes == [4, 4, 3, 1, 4]
    assert link.made == BUFFERS


def test_a_larger_batch_makes_larger_buffers():
    link = LateLink()
    buffers = DoubleBuffer(link)
    sent = [send(buffers, value, count) for value, count in enumerate([1, 1, 5, 5])]
    link.finish()
    assert [len(batch) for batch in sent] == [1, 1, 5, 5]
    assert [batch.unique().tolist() for batch in sent] == [[0], [1], [2], [3]]


def test_what_fails_to_be_read_leaves_the_buffers_usable():
    link = LateLink()
    buffers = DoubleBuffer(link)

    def fail(host):
        host.zero_()
        raise OSError("disk gone")

    before = send(buffers, 5)
    for _ in range(BUFFERS):
        with pytest.raises(OSError, match="disk gone"):
            buffers.send(fail, (3, 2), torch.uint8)
    after = send(buffers, 6)
    link.finish()
    assert before.unique().tolist() == [5]
    assert after.unique().tolist() == [6]


def test_buffers_made_while_evaluating_serve_training():
    link = LateLink()
    buffers = DoubleBuffer(link)
    with torch.inference_mode():
        send(buffers, 1)
        send(buffers, 2)
        link.finish()
    for value in (3, 4, 5):
        sent = send(buffers, value)
    link.finish()
    assert sent.unique().tolist() == [5]
