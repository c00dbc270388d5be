"""What was computed once and is kept on this disk: whole, proven, and made anew where it is not.

An entry is a folder ``KIND/KEY`` in MRITK_HOME. The key is a digest of all that shapes its content.

    NAME.npy      an array, mapped into memory
    facts.json    plain data; the CRC-32 of every 16 MiB of the arrays, and of itself

It is made under another name, synced and renamed, so two processes at work never harm each other.
Every byte is compared with its checksum when a process first opens the entry: a damaged disk or a
file that somebody wrote to must not end in a result.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from mritk.errors import CacheError, StoreError
from mritk.files.atomic import sync_folder, whole_folder
from mritk.files.draft import draft_of, remove
from mritk.files.remedy import OF_THE_DISK, remedy_of
from mritk.files.waiting import locked
from mritk.machine.in_threads import made_in_threads

logger = logging.getLogger("mritk")

FACTS = "facts.json"
CHUNK, PIECE = 1 << 24, 1 << 18


@dataclass(frozen=True, eq=False)
class Entry:
    """What is kept under one key.

    Attributes:
        arrays: By name, read-only and mapped from disk.
        facts: Plain data.
    """

    arrays: Mapping[str, np.ndarray]
    facts: dict[str, Any]


class Draft:
    """An entry in the making."""

    def __init__(self, folder: Path, what: str) -> None:
        self._folder, self._what = folder, what

    def array(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.memmap:
        """Return an empty array on disk, to be filled; its space is really there.

        Raises:
            CacheError: There is no room for it.
        """
        # Writing to a memory map on a full disk would kill the process without a word.
        needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise self._no_room(needed, f"{_gigabytes(free)} are free")
        path = self._folder / f"{name}.npy"
        with _told(self._what, self._folder.parent):
            array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        try:
            if hasattr(os, "posix_fallocate"):
                with path.open("r+b") as stream:
                    os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
        except OSError as error:
            # Others mean that the file system cannot reserve space.
            if error.errno in OF_THE_DISK:
                raise self._no_room(needed, error.strerror or str(error)) from error
        return array

    def save(self, name: str, values: np.ndarray) -> None:
        """Write an array.

        Raises:
            CacheError: It cannot be written.
        """
        size = f"{values.nbytes / 1e6:.0f} MB of "
        with (
            _told(size + self._what, self._folder.parent),
            (self._folder / f"{name}.npy").open("wb") as stream,
        ):
            values = np.ascontiguousarray(values)
            header = np.lib.format.header_data_from_array_1_0(values)
            np.lib.format.write_array_header_1_0(stream, header)
            content = values.reshape(-1).view(np.uint8).data
            # As one piece, which np.save writes, 0.5 GB took 4 s where the memory that caches the
            # file was fresh to a virtual machine, and 0.1 s in pieces.
            for start in range(0, len(content), PIECE):
                stream.write(content[start : start + PIECE])

    def seal(self, facts: Mapping[str, Any]) -> None:
        """Write ``facts`` and checksums; everything is then on disk."""
        arrays = {}
        for path in sorted(self._folder.glob("*.npy")):
            with path.open("r+b") as stream:
                os.fsync(stream.fileno())
            size = path.stat().st_size
            arrays[path.stem] = {"bytes": size, "crc32": list(_checksums(path, size))}
        content = {"facts": dict(facts), "arrays": arrays}
        with (self._folder / FACTS).open("wb") as stream:
            stream.write(json.dumps({"crc32": _checksum_of(content), **content}).encode())
            stream.flush()
            os.fsync(stream.fileno())
        sync_folder(self._folder)

    def _no_room(self, needed: int, why: str) -> CacheError:
        return CacheError(
            f"not enough space for {_gigabytes(needed)} of {self._what} in {self._folder.parent}: "
            f"{why}; free space, or set MRITK_HOME (or MRITK_SCRATCH) to another disk"
        )


# Fills an entry with its arrays, and returns its facts.
Make = Callable[[Draft], Mapping[str, Any]]


def key_of(identity: Any) -> str:
    """Return the key for plain data of any size that tell one content from all others."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]


def kept(folder: Path, identity: Any, make: Make, what: str, near: Path | None = None) -> Entry:
    """Return the entry for an identity, made if there is none, or only a damaged one.

    One process makes it; others that ask for it meanwhile wait.

    Args:
        folder: Where entries of this kind are.
        identity: See :func:`key_of`.
        make: Makes the entry.
        what: What entries of this kind hold, for messages.
        near: A folder on a disk of this machine: the entry is copied there from ``folder``, or made
            there if it is in neither; None: entries are used where they are.

    Raises:
        CacheError: It cannot be stored.
    """
    key = key_of(identity)
    place = (near or folder) / key
    if near is not None:
        make = partial(_copied_or_made, folder / key, make, what)
    found = find(place, what)
    if found is None:
        found = _made(place, make, what)
    if found is None:
        raise StoreError(f"{place} cannot be read although it was just written; check the disk")
    return found


def _copied_or_made(far: Path, make: Make, what: str, draft: Draft) -> Mapping[str, Any]:
    there = find(far, what)
    if there is None:
        return make(draft)
    for name, values in there.arrays.items():
        draft.save(name, values)
    return there.facts


def _made(place: Path, make: Make, what: str) -> Entry | None:
    lock = place.with_name(f".{place.name}.lock")
    with _told(what, place.parent):
        place.parent.mkdir(parents=True, exist_ok=True)
    with locked(lock, f"prepares {what}"):
        try:
            found = find(place, what)  # by the process that was waited for
            if found is None:
                keep(place, make, what)
                found = find(place, what)
        finally:
            with suppress(OSError):
                lock.unlink(missing_ok=True)
    return found


def find(place: Path, what: str) -> Entry | None:
    """Return the entry at a place; None if there is none, or a damaged one, which is told."""
    if not place.exists():
        return None
    found = _read(place)
    if found is None:
        logger.warning("%s in %s are damaged and will be recreated", what, place)
    return found


def keep(place: Path, make: Make, what: str) -> None:
    """Make an entry, unless another process was first; drafts of killed processes are removed.

    Raises:
        CacheError: It cannot be stored.
    """
    with ExitStack() as stack:
        with _told(what, place.parent):
            folder = stack.enter_context(whole_folder(place, is_synced=True))
        draft = Draft(folder, what)
        facts = make(draft)
        with _told(what, place.parent):
            draft.seal(facts)
            if place.exists() and _read(place) is None:
                discard(place)
            try:
                stack.close()  # renames the folder into place
            except OSError:
                if _read(place) is None:  # else another process was first
                    raise


def _read(place: Path) -> Entry | None:
    """Return what a folder holds; None if it is not whole."""
    try:
        noted = json.loads((place / FACTS).read_text(encoding="utf-8"))
        if noted.pop("crc32") != _checksum_of(noted):
            return None
        arrays = {}
        for name, stated in noted["arrays"].items():
            path = place / f"{name}.npy"
            status = path.stat()
            sums = tuple(stated["crc32"])
            if status.st_size != stated["bytes"] or not _is_sound(
                path, status.st_ino, status.st_size, status.st_mtime_ns, sums
            ):
                return None
            arrays[name] = _mapped(path)
        return Entry(arrays, noted["facts"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):
        return None


def _mapped(path: Path) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError:  # an array without elements cannot be mapped
        array = np.load(path, allow_pickle=False)
    return array


@lru_cache(maxsize=1024)
def _is_sound(path: Path, inode: int, size: int, changed: int, sums: tuple[int, ...]) -> bool:
    """Compare a file with its checksums, once per process unless it was written to."""
    return _checksums(path, size) == sums


def _checksums(path: Path, size: int) -> tuple[int, ...]:
    """Return the CRC-32 of every chunk: nothing in the standard library is faster."""

    def of_chunk(number: int) -> int:
        found = 0
        piece = memoryview(bytearray(PIECE))  # fresh memory for all would take longer than the sum
        with path.open("rb", buffering=0) as stream:
            stream.seek(number * CHUNK)
            for _ in range(CHUNK // PIECE):
                found = zlib.crc32(piece[: stream.readinto(piece)], found)
        return found

    return tuple(made_in_threads(of_chunk, -(-size // CHUNK)))


def _checksum_of(content: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def discard(place: Path) -> None:
    """Remove an entry; renamed first, so that nobody meets a half-removed one."""
    aside = draft_of(place)
    try:
        place.rename(aside)
    except FileNotFoundError:
        return
    remove(aside)


@contextmanager
def _told(what: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"cannot store {what} in {folder}: {error.strerror or error}; "
            f"{remedy_of(error, folder)}, or set MRITK_HOME (or MRITK_SCRATCH) to another disk"
        ) from error


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
