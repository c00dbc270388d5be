"""Start workers that have imported already what training needs.

To import torch, its compiler and timm takes longer than a short trial. One process, the fork
server, does so once; each worker is forked from it, with nothing left to import. It computes
nothing and never looks for a GPU: CUDA does not survive a fork.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import ForkServerContext, SpawnContext

from mritk_processes.share import variables_set

# Imported beforehand where the run that starts the workers has imported them too. Other modules are
# not: the server does not look for them in the folders where the run found them.
LIBRARIES = ("mritk.execute.worker", "torch._dynamo", "sklearn.metrics", "timm", "torchvision")

# Libraries that ask, while they are imported, whether there is a GPU: it is not woken for that.
# https://docs.pytorch.org/docs/stable/cuda_environment_variables.html
ASLEEP = {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"}


def worker_context(variables: Mapping[str, str]) -> ForkServerContext | SpawnContext:
    """Return the way to start processes.

    Where there is no fork server, or a fork harms the system's libraries (macOS), each process
    imports for itself.

    Args:
        variables: Of the environment, for libraries that read them when they are loaded. A server
            that runs already, for an earlier call, keeps those that it had.
    """
    if "forkserver" not in get_all_start_methods() or sys.platform == "darwin":
        return get_context("spawn")
    from multiprocessing import resource_tracker
    from multiprocessing.forkserver import ensure_running

    context = get_context("forkserver")
    context.set_forkserver_preload([name for name in LIBRARIES if name in sys.modules])
    with variables_set({**variables, **ASLEEP}):
        # Before the block: when it starts, it lifts any block of Ctrl-C of this process.
        resource_tracker.ensure_running()
        with _ctrl_c_blocked():
            ensure_running()
    return context


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Let what is started in the block, and all that it starts, not be ended by Ctrl-C.

    A terminal sends it to all processes of the run. The run itself ends its workers, and says so
    in one line.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
