"""Import what training will need while the data are read.

The libraries of deep learning take seconds to import, and reading data leaves the interpreter idle
while files are decoded: the two overlap well.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mritk.backbone import Backbone

# torch.optim imports the compiler. Only some runs need scikit-learn, and import it where they do.
ALWAYS = ("torch", "torch._dynamo")


NAME = "warm-up"


def is_importing() -> bool:
    """Tell whether a warm-up runs in this process."""
    return any(thread.name == NAME for thread in threading.enumerate())


class WarmUp:
    """Imports in a thread of its own. What fails there will fail again when it is needed.

    A process that is refused or interrupted meanwhile does not wait for it; see
    :mod:`mritk.__main__`.
    """

    def __init__(self) -> None:
        self._thread: Thread | None = None

    def start(self, backbones: Iterable[Backbone]) -> None:
        """Import, and build one network of each plugin for the libraries that it imports.

        Once is enough: later calls do nothing.
        """
        if self._thread is not None:
            return
        architectures = {b.architecture.origin.plugin: b.architecture for b in backbones}
        builders = [architecture.build for architecture in architectures.values()]
        self._thread = Thread(target=_work, args=(builders,), name=NAME, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for the end, if it was begun: building draws from torch's global generator."""
        if self._thread is not None:
            self._thread.join()


def _work(builders: Iterable[Callable[[], object]]) -> None:
    collects = gc.isenabled()
    gc.disable()  # what is imported stays: looking for garbage in it takes a sixth of the time
    try:
        for module in ALWAYS:
            with suppress(ImportError):
                import_module(module)
        for build in builders:
            with suppress(Exception, SystemExit):
                build()
    finally:
        if collects:
            gc.enable()
