"""A network comes out of passes that are made to measure it as it went in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from mritk.model.late_buffers import is_expanded


@contextmanager
def unchanged(network: nn.Module) -> Iterator[None]:
    """Put back the buffers and attributes of all modules, whatever happens in the block.

    A pass may write a buffer (running statistics), assign another tensor to its name, or make it.
    The same objects come back with the same values, and what was not there is gone.
    """
    held = [(vars(one), dict(vars(one))) for one in _plain(network)] + buffer_tables(network)
    values = [(buffer, buffer.detach().clone()) for buffer in network.buffers()]
    try:
        yield
    finally:
        for now, before in held:
            put_back(now, before)
        with torch.no_grad():
            for buffer, value in values:
                write(buffer, value)


@contextmanager
def same_contents(network: nn.Module) -> Iterator[None]:
    """Put back what the lists and dictionaries hold that are attributes of modules."""
    own = vars(nn.Module()).keys()
    attributes = [vars(one).items() for one in _plain(network)]
    held = [value for items in attributes for name, value in items if name not in own]
    lists = [(one, list(one)) for one in held if isinstance(one, list)]
    tables = [(one, dict(one)) for one in held if isinstance(one, dict)]
    try:
        yield
    finally:
        for listed, items_before in lists:
            listed[:] = items_before
        for table, before in tables:
            put_back(table, before)


def buffer_tables(network: nn.Module) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the table of buffers of each module, and a copy that :func:`put_back` takes."""
    return [(one._buffers, dict(one._buffers)) for one in _plain(network)]


def put_back(now: dict[Any, Any], before: Mapping[Any, Any]) -> bool:
    """Let a dictionary hold the very objects that it held; return whether it did not."""
    differs = [(key, id(value)) for key, value in now.items()] != [
        (key, id(value)) for key, value in before.items()
    ]
    if differs:
        now.clear()
        now.update(before)
    return differs


def write(buffer: torch.Tensor, value: torch.Tensor) -> None:
    """Let a buffer have the value that it had, and its shape; to be called without gradients."""
    if (buffer.shape, buffer.dtype) != (value.shape, value.dtype):
        buffer.data = value
    elif not (is_expanded(buffer) and torch.equal(buffer, value)):  # a constant
        buffer.copy_(value)


def _plain(network: nn.Module) -> list[nn.Module]:
    """Return all modules but those of TorchScript, whose tables are no dictionaries of Python."""
    return [one for one in network.modules() if not isinstance(one, torch.jit.ScriptModule)]
