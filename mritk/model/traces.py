"""Tensors without values that outlive the pass that made them are forgotten.

Networks keep what they need again: position embeddings in a dictionary or behind
``functools.lru_cache``, as DINOv3 of transformers does. What a pass without values leaves there
would come back in the next one.
"""

from __future__ import annotations

import gc
import logging
from functools import lru_cache
from types import CellType
from typing import Any
from weakref import ref

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._pytree import tree_leaves

logger = logging.getLogger("mritk")

Cache = type(lru_cache(lambda: None))
# A cache holds a tensor, or a container with it, or one in another.
DEPTH = 3


class TracingMode(FakeTensorMode):
    """A mode without values that knows which of its tensors live on."""

    def __init__(self) -> None:
        super().__init__(allow_non_fake_inputs=True)
        self._made: list[ref[FakeTensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = super().__torch_dispatch__(func, types, args, kwargs)
        self._made += [ref(one) for one in tree_leaves(result) if isinstance(one, FakeTensor)]
        return result

    def forget(self) -> None:
        """Take its tensors out of the caches, containers and objects that hold them.

        To be called when the pass has ended and nobody handles an exception of it.
        """
        if self._living():
            gc.collect()
        if living := self._living():
            gc.unfreeze()  # or what was there before is not looked at
            _forget(living)
        del living
        self._made = [one for one in self._made if one() is not None]
        if self._made:
            logger.info("%d tensors without values live on", len(self._made))

    def _living(self) -> list[Any]:
        return [tensor for tensor in (one() for one in self._made) if tensor is not None]


def _forget(held: list[Any], ours: tuple[list[Any], ...] = ()) -> None:
    """Take objects out of what keeps them: caches are cleared, and names hold None.

    Of containers in containers the entry of the outermost goes, for it is that one which a network
    asks; a list that is emptied behind its key would be taken for what it was.
    """
    holders = gc.get_referrers(*held)
    further: list[Any] = []
    ours = (*ours, held, holders, further)
    known = {id(one) for one in held}
    for holder in holders:
        if any(holder is one for one in ours) or isinstance(holder, torch.Tensor):
            continue
        if isinstance(holder, Cache):
            holder.cache_clear()
        elif isinstance(holder, dict) and (owner := _owner_of(holder)) is not None:
            _let_go(owner, holder, known)
        elif isinstance(holder, tuple | list | dict) and len(ours) < 3 * DEPTH:
            if isinstance(holder, tuple) or _is_within(holder, ours):
                further.append(holder)
            elif isinstance(holder, dict):
                for key in [key for key, value in holder.items() if id(value) in known]:
                    del holder[key]
            else:
                holder[:] = [one for one in holder if id(one) not in known]
        elif isinstance(holder, CellType):  # a variable of a function around
            holder.cell_contents = None
        elif isinstance(names := getattr(holder, "__dict__", None), dict):
            _let_go(holder, names, known)
    del holders[:]  # it holds them, too
    if further:
        _forget(further, ours)


def _let_go(owner: object, names: dict[str, Any], known: set[int]) -> None:
    for name in [name for name, value in names.items() if id(value) in known]:
        if isinstance(owner, type):  # which remembers what it has found
            setattr(owner, name, None)
        else:
            names[name] = None


def _owner_of(names: dict[Any, Any]) -> object | None:
    """Return the module, class or object whose names a dictionary holds; None if it is no such."""
    for one in gc.get_referrers(names):
        if isinstance(one, type) or getattr(one, "__dict__", None) is names:
            return one
    return None


def _is_within(holder: list[Any] | dict[Any, Any], ours: tuple[list[Any], ...]) -> bool:
    """Whether a container is an entry of another one."""
    return any(
        isinstance(one, tuple | list) or (isinstance(one, dict) and _owner_of(one) is None)
        for one in gc.get_referrers(holder)
        if not any(one is own for own in ours)
    )
