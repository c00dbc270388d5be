"""In which precision a network computes.

``bfloat16`` is torch's autocast: on a GPU it lets normalisations over the features of a sample
(LayerNorm, GroupNorm, RMSNorm) take and return float32, so that activations are copied before and
after each of them. ``bfloat16_norms`` lets these take and return bfloat16 too; their kernels still
sum in float32. BatchNorm does so in either.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

# A tuple: torch 2.8 cannot compile a network that asks a frozenset.
NORMS = tuple(
    getattr(room, name)
    for room in (functional, torch)
    for name in ("layer_norm", "group_norm", "rms_norm")
)


@contextmanager
def computing_in(precision: str, device: str | torch.device) -> Iterator[None]:
    """Let networks called inside the block compute in a precision.

    Args:
        precision: ``float32``, ``bfloat16`` or ``bfloat16_norms``.
        device: Where they compute.
    """
    kind = torch.device(device).type
    norms = _NormsAsTheyCome(kind) if precision == "bfloat16_norms" else nullcontext()
    with torch.autocast(kind, torch.bfloat16, enabled=precision != "float32"), norms:
        yield


class _NormsAsTheyCome(TorchFunctionMode):
    """Keeps autocast from normalisations, and gives them what they take in bfloat16."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in NORMS:
            return func(*args, **kwargs)
        # Kernels of a GPU take input and weights of one type only.
        args = [_in_bfloat16(value) for value in args]
        kwargs = {name: _in_bfloat16(value) for name, value in kwargs.items()}
        with torch.autocast(self._kind, enabled=False):
            return func(*args, **kwargs)


def _in_bfloat16(value: Any) -> Any:
    return value.to(torch.bfloat16) if isinstance(value, torch.Tensor) else value
