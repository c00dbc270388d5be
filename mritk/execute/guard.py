"""The program that ends a process that hangs; its arguments: PROCESS SECONDS NOTE.

It ends silently when a line arrives, or when the process, its parent, is gone.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from mritk.machine.process_tree import end_and_clear

# Seconds in which those who watch external programs remove their containers.
CLEAR_S = 10.0


def main(process: int, seconds: float, note: Path) -> None:
    """Wait for the end of a process, or end it after so many seconds."""
    done = threading.Thread(target=sys.stdin.readline, daemon=True)
    done.start()
    done.join(seconds)
    if not done.is_alive() or os.getppid() != process:
        return
    with suppress(OSError):  # where the folder is gone, nobody will ask
        note.write_text("")
    end_and_clear(process, CLEAR_S)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
