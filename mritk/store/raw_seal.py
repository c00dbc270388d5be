"""The outer seal of an HDF5 file: its last line states the SHA-256 of all bytes before it.

The HDF5 library must see no damaged byte: a damaged heap keeps it busy for ever, and nothing stops
it. So the bytes are proven first. Anybody can do so, without mritk::

    head -c -79 TRIAL.h5 | sha256sum; tail -c 79 TRIAL.h5

The first block of the file counts the line as part of it, or whoever opens the file for writing
would cut it off. Programs that read HDF5 pay no attention to it. (A user block in front would be
another place; pyfive 1.3 reads wrong numbers behind one, without a word.)
"""

from __future__ import annotations

import hashlib

MARK = b"\nmritk sha256 "
LENGTH = len(MARK) + 64 + 1
# Where the first block, in its earliest version, states the length of the file.
LENGTH_STATED = slice(40, 48)
# HDF5 sets this mark while a program writes to the file, and leaves it if that one is killed.
OPEN_MARK = slice(20, 24)
CLOSED, OPEN = bytes(4), bytes([1, 0, 0, 0])


def seal_bytes(content: bytes) -> bytes:
    """Return the content of an HDF5 file with its outer seal.

    Raises:
        ValueError: It is no HDF5 file, has a newer kind of first block, or is open.
    """
    stated = int.from_bytes(content[LENGTH_STATED], "little")
    if stated != len(content) or content[OPEN_MARK] != CLOSED:
        raise ValueError("an outer seal needs a closed HDF5 file whose first block is of version 0")
    longer = (stated + LENGTH).to_bytes(8, "little")
    # Files may be large: they are there once more, not several times.
    before, behind = content[: LENGTH_STATED.start], memoryview(content)[LENGTH_STATED.stop :]
    return b"".join([before, longer, behind, _line(before, longer, behind)])


def seal_holds(content: bytes) -> bool | None:
    """Return whether the bytes are those that were sealed; None where there is no seal."""
    if content[-LENGTH:-65] != MARK:
        return None
    sealed = bytearray(content[:-LENGTH])
    if sealed[OPEN_MARK] == OPEN:
        sealed[OPEN_MARK] = CLOSED
    return content[-LENGTH:] == _line(sealed)


def _line(*parts: bytes | bytearray | memoryview) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return MARK + digest.hexdigest().encode() + b"\n"
