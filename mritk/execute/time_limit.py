"""End a process that hangs, with all that it has started.

What hangs in a library cannot end itself. A second process watches it, and ends it when its time is
over.
"""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mritk.files.results_names import CLAIMS
from mritk.machine.isolated import isolated
from mritk.store.folder import ResultsFolder


def note_path(results: ResultsFolder, trial_id: str) -> Path:
    """Return where it is noted that a trial was ended because it took too long."""
    return results.path / CLAIMS / f"{trial_id}.over"


def forget_overrun(results: ResultsFolder, trial_id: str) -> bool:
    """Tell whether a trial was ended because it took too long; the note of it is removed."""
    with suppress(OSError):
        note_path(results, trial_id).unlink()
        return True
    return False


@contextmanager
def at_most(seconds: float, note: Path) -> Iterator[None]:
    """Kill this process, and those that it has started, if the block takes longer.

    Args:
        seconds: How long it may take; infinite: nobody watches.
        note: Written before, for whoever asks why.
    """
    with suppress(OSError):
        note.unlink(missing_ok=True)  # of an earlier attempt
    if math.isinf(seconds):
        yield
        return
    command = [*isolated("mritk.execute.guard"), str(os.getpid()), str(seconds), str(note)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as watching:
        try:
            yield
        finally:
            assert watching.stdin is not None
            with suppress(OSError):  # it has ended by itself
                watching.stdin.write(b"\n")
                watching.stdin.close()
