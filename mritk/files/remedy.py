"""What a person can do where the system refuses to write, by the number of the error."""

from __future__ import annotations

import errno
from pathlib import Path

from mritk.files.ground import nearest

REMEDIES: dict[int | None, str] = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: "make its file system writable",
    errno.ENOENT: "check that its folder is there",
    errno.EISDIR: "move the existing folder",
    errno.ENAMETOOLONG: "shorten its name",
    errno.ELOOP: "remove the link",
}
# Some file stands where a folder is needed, and the system does not say which.
IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR)


def remedy_of(error: OSError, path: Path) -> str:
    """Return what may help against an error of writing to ``path``.

    >>> remedy_of(OSError(errno.ENOSPC, "No space left on device"), Path("report.html"))
    'free some space'
    """
    if error.errno in IN_THE_WAY:
        return f"move the existing file {nearest(path)}"
    return REMEDIES.get(error.errno, "check the disk")
