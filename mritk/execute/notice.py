"""Notice that a run must end: its trials are checkpointed first, and the same command resumes them.

It comes by SIGTERM, as from a batch system that needs the machine, when the time of the run is
over, or by a file that the run writes for its workers, on whatever machine they are.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Seconds between two looks at the file, which may be on a network.
LOOK_S = 1.0


class Notice:
    """Asked by what trains, at each step.

    Attributes:
        ends: When the run must have ended, in seconds since 1970; infinite: whenever it is done.
        file: What the run writes to give notice; None: it does not.
        signalled: Whether this process was told by SIGTERM.
    """

    def __init__(self, ends: float = math.inf, file: Path | None = None) -> None:
        self.ends, self.file, self.signalled = ends, file, False
        self._seen, self._looked = False, -math.inf

    @property
    def given(self) -> bool:
        """Whether to checkpoint and end now."""
        return self.signalled or time.time() >= self.ends or self._in_file()

    def fits(self, seconds: float) -> bool:
        """Tell whether a trial that takes about ``seconds`` may begin now."""
        return not self.given and time.time() + seconds <= self.ends

    def _in_file(self) -> bool:
        now = time.monotonic()
        if self.file is not None and not self._seen and now - self._looked >= LOOK_S:
            self._looked, self._seen = now, self.file.exists()
        return self._seen

    @contextmanager
    def by_sigterm(self) -> Iterator[None]:
        """Let SIGTERM give notice in the block, where it would end the process.

        Where signals cannot be handled, or SIGTERM is ignored, nothing changes.
        """
        in_main = threading.current_thread() is threading.main_thread()
        if not in_main or signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
            yield
            return
        before = signal.signal(signal.SIGTERM, self._hear)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _hear(self, *_: Any) -> None:
        self.signalled = True
