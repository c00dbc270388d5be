"""How much more memory this process may take, and whether an array may be one piece of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mritk.errors import DataError

# Share of the memory at hand that one part of a dataset may take; the rest is for the network,
# for other parts and for other programs.
HOST_SHARE = 0.4

KIB = 1024


def fits_in_memory(nbytes: int) -> bool:
    """Return whether ``nbytes`` are at most :data:`HOST_SHARE` of the memory at hand."""
    free = available_bytes()
    return free is None or nbytes <= HOST_SHARE * free


def require_memory(nbytes: int) -> None:
    """Refuse data that do not fit in memory, before the system kills the process.

    Raises:
        DataError: ``nbytes`` exceed the available memory.
    """
    free = available_bytes()
    if free is not None and nbytes > free:
        raise DataError(
            f"needs {nbytes / 1e9:.1f} GB of memory, but {free / 1e9:.1f} GB are free; reduce its "
            "size, or use a machine with more memory"
        )


def available_bytes(root: Path = Path("/")) -> int | None:
    """Return the bytes that this process may still take, the least that any limit leaves it.

    On Linux these are ``MemAvailable`` of the machine, what the control group and those above it
    (version 1 or 2; containers and batch systems use them) leave, and ``RLIMIT_DATA`` and
    ``RLIMIT_AS``. Elsewhere it is the free, or else the whole memory that the system tells.

    Args:
        root: Where ``proc`` and ``sys`` are mounted.

    Returns:
        Bytes, 0 if a limit is exceeded already; None if nothing is known.
    """
    known = [*_of_machine(root), *_of_control_groups(root), *_of_process(root)]
    return max(0, min(known)) if known else None


def _of_machine(root: Path) -> Iterator[int]:
    information = numbers_in(root / "proc/meminfo")
    if "MemAvailable:" in information:
        yield information["MemAvailable:"] * KIB
        return
    for pages in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"):
        try:
            yield os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, ValueError, OSError):  # unknown to this system
            continue
        return


def _of_process(root: Path) -> Iterator[int]:
    status = numbers_in(root / "proc/self/status")
    if not status:
        return
    import resource

    for limit, taken in ((resource.RLIMIT_DATA, "VmData:"), (resource.RLIMIT_AS, "VmSize:")):
        soft, _ = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY and taken in status:
            yield soft - status[taken] * KIB


def _of_control_groups(root: Path) -> Iterator[int]:
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mount, limit, usage = "", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            mount, limit, usage = "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        top = root / "sys/fs/cgroup" / mount
        group = top / path.strip().lstrip("/")
        # Inside a container the path may be the host's, and only the top be there.
        for folder in (group, *group.parents):
            yield from _left_in(folder, limit, usage)
            if folder == top:
                break


def _left_in(group: Path, limit: str, usage: str) -> Iterator[int]:
    limits, used = _lines(group / limit), _lines(group / usage)
    if limits and used and limits[0].strip().isdigit():  # version 2 writes "max" for none
        statistics = numbers_in(group / "memory.stat")
        # Version 1 counts what is below the group under names of their own.
        prefix = "total_" if "total_active_file" in statistics else ""
        # Files that the kernel keeps in memory count as used, yet they go when memory is asked for.
        files = sum(statistics.get(f"{prefix}{kind}_file", 0) for kind in ("active", "inactive"))
        yield int(limits[0]) - int(used[0]) + files


def numbers_in(path: Path) -> dict[str, int]:
    """Return the whole numbers of a file of lines ``name number …``."""
    pairs = (line.split()[:2] for line in _lines(path))
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
