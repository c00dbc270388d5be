"""Tensors without values that outlive the pass that made them are forgotten.

Networks keep what they need again: position embeddings in a dictionary or behind
``functools.lru_cache``, as DINOv3 of transformers does. What a pass without values leaves there
would come back in the next one.
"""

from __future__ import annotations

import gc
import logging
from functools import lru_cache
from typing import Any
from weakref import ref

from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._pytree import tree_leaves

logger = logging.getLogger("mritk")

Cache = type(lru_cache(lambda: None))
# A cache holds a tensor, or a tuple with it, or one in another.
DEPTH = 2


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
        """Take its tensors out of the caches, dictionaries and lists that hold them.

        To be called when the pass has ended and nobody handles an exception of it.
        """
        if not self._living():
            return
        gc.unfreeze()  # or what was there before is not looked at
        gc.collect()
        if living := self._living():
            _forget(living)
        del living
        self._made = [one for one in self._made if one() is not None]
        if self._made:
            logger.info("%d tensors without values live on", len(self._made))

    def _living(self) -> list[Any]:
        return [tensor for tensor in (one() for one in self._made) if tensor is not None]


def _forget(held: list[Any], depth: int = DEPTH) -> None:
    """Take objects out of all that holds them, as far as that is a cache or a container."""
    known = {id(one) for one in held}
    holders = [one for one in gc.get_referrers(*held) if one is not held]
    for holder in holders:
        if isinstance(holder, Cache):
            holder.cache_clear()
        elif isinstance(holder, dict):
            for key in [key for key, value in holder.items() if id(value) in known]:
                del holder[key]
        elif isinstance(holder, list):
            holder[:] = [one for one in holder if id(one) not in known]
    tuples = [one for one in holders if type(one) is tuple]
    del holders[:]  # it holds them, too
    if tuples and depth:
        _forget(tuples, depth - 1)
