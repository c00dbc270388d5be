"""Whether a process that a test has started, or lost, still runs."""

from __future__ import annotations

from pathlib import Path


def is_alive(process: int | str) -> bool:
    """Return whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:  # it has no file, or lost it between its opening and its reading
        return False
