"""A log of bounded size: its beginning, its end, and one line between them of what is left out."""

from __future__ import annotations

import re
from pathlib import Path

HEAD = TAIL = 4 << 20
LINE = "\n[mritk left out {} bytes here]\n"
PATTERN = re.compile(rb"\n\[mritk left out (\d+) bytes here\]\n")
LONGEST_LINE = 64  # of the line above, in bytes


class BoundedLog:
    """A file to which bytes are added, of at most ``head`` + 2 ``tail`` bytes and a line.

    What was left out by earlier processes counts, too: several attempts have one log.
    """

    def __init__(self, path: Path, *, head: int = HEAD, tail: int = TAIL) -> None:
        """Open a log, or begin it.

        Args:
            path: The file.
            head: Bytes that are kept of its beginning.
            tail: Bytes that are kept of its end, at least.

        Raises:
            OSError: It cannot be opened.
        """
        self._head, self._tail = head, tail
        path.touch()
        self._file = path.open("r+b", buffering=0)
        self._file.seek(head)
        line = PATTERN.match(self._file.read(LONGEST_LINE))
        self._left_out = int(line[1]) if line else 0
        self._tail_at = head + (len(line[0]) if line else 0)
        self._size = self._file.seek(0, 2)

    def add(self, content: bytes) -> None:
        """Add bytes at the end.

        Raises:
            OSError: The disk is full.
        """
        self._size += self._file.write(content)
        if self._size > self._head + 2 * self._tail + LONGEST_LINE:
            self._shorten()

    def _shorten(self) -> None:
        """Keep the last lines of the end."""
        begin = self._size - self._tail
        self._file.seek(begin)
        kept = self._file.read(self._tail)
        part = kept.find(b"\n") + 1  # of a line that is kept in part, if there is any end of one
        self._left_out += begin + part - self._tail_at
        line = LINE.format(self._left_out).encode()
        self._file.seek(self._head)
        self._file.write(line + kept[part:])
        self._file.truncate()
        self._tail_at = self._head + len(line)
        self._size = self._file.tell()
