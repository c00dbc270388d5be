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
        """Import, and build one network of each plugin of mritk for the libraries that it imports.

        Those of others may change what the whole process has, such as its working folder, while
        data are read. Once is enough: later calls do nothing.
        """
        from mritk.files.code_state import OWN_DISTRIBUTION

        if self._thread is not None:
            return
        own = (b.architecture for b in backbones)
        own = (one for one in own if one.origin.distribution == OWN_DISTRIBUTION)
        builders = {one.origin.plugin: one.build for one in own}.values()
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
