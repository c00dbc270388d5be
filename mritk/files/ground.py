"""What stands where a file or a folder would be made, and whether it lets us; nothing is made."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from mritk.errors import UsageError


def ground_of(path: Path) -> Path:
    """Return ``path``, or if it is not there what stands nearest above it.

    Raises:
        UsageError: It is a link that leads nowhere: nothing can be made there.
    """
    place = nearest(path.absolute())
    if not place.exists():
        raise UsageError(
            f"{place} is a link to {place.readlink()}, which is not there; make it available, "
            "remove the link, or choose another folder"
        )
    return place


def nearest(path: Path) -> Path:
    """Return ``path``, or if nothing stands there what stands nearest above it, links included."""
    return next(p for p in (path, *path.parents) if os.path.lexists(p))


def why_not_writable(place: Path) -> OSError | None:
    """Return why nothing can be made in ``place``; None if it can."""
    if not place.is_dir():
        cause = errno.ENOTDIR
    elif os.access(place, os.W_OK | os.X_OK):
        return None
    else:
        cause = errno.EROFS if _is_read_only(place) else errno.EACCES
    return OSError(cause, os.strerror(cause))


def _is_read_only(place: Path) -> bool:
    """Tell whether the file system is mounted for reading only; Windows does not say."""
    return hasattr(os, "statvfs") and bool(os.statvfs(place).f_flag & os.ST_RDONLY)
