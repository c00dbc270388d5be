"""torch.compile for the network of a training, with a way back."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import torch
from torch import nn

from mritk.machine.out_of_memory import ran_out_of_memory

logger = logging.getLogger("mritk")

# Where Inductor keeps what it has compiled, read at each use; a folder for temporary files without.
CACHE = "TORCHINDUCTOR_CACHE_DIR"
# What mritk has put there. Anything else is the wish of a person.
_set: set[str] = set()
# All networks are called by one function, of which torch keeps what it has compiled for 8 kinds of
# them: for backbones, sizes of heads and frozen parts. One process may train many more.
KINDS = 10_000
SETTINGS = {
    # Without this torch would fall back to eager and not say so.
    "fail_on_recompile_limit_hit": True,
    "recompile_limit": KINDS,
    "accumulated_recompile_limit": KINDS,
}


class CompiledNetwork:
    """A network's forward pass, compiled if that works.

    The next network of the same kind in the process takes what was compiled for this one.

    Args:
        network: The network.
        kept: Folder for what is compiled, for later runs; None: where torch keeps it by itself.

    Attributes:
        active: False once compiling has failed.
    """

    def __init__(self, network: nn.Module, kept: Path | None = None) -> None:
        self._network, self.active = network, True
        if kept is not None and os.environ.get(CACHE, "") in {"", *_set}:
            os.environ[CACHE] = str(kept)
            _set.add(str(kept))
        # Dropout is drawn by torch's own generator, so that masks are those of the eager network.
        self._compiled = torch.compile(network, dynamic=False, options={"fallback_random": True})

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the network's outputs."""
        if self.active:
            try:
                with torch._dynamo.config.patch(SETTINGS):
                    return self._compiled(batch)
            except Exception as error:
                if isinstance(error, RuntimeError) and ran_out_of_memory(error):
                    raise
                self.active = False
                reason = str(error).strip().splitlines() or [type(error).__name__]
                logger.warning("torch.compile failed (%s); continuing without it", reason[0])
        return self._network(batch)
