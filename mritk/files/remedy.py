"""What a person can do where the system refuses to write, by the number of the error."""

from __future__ import annotations

import errno

REMEDIES: dict[int | None, str] = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: "make its file system writable",
    errno.ENOENT: "check that its folder is there",
    errno.EEXIST: "move the existing file",
    errno.ENOTDIR: "move the existing file",
    errno.EISDIR: "move the existing folder",
    errno.ENAMETOOLONG: "shorten its name",
    errno.ELOOP: "remove the link",
}


def remedy_of(error: OSError) -> str:
    """Return what may help against an error.

    >>> remedy_of(OSError(errno.ENOSPC, "No space left on device"))
    'free some space'
    """
    return REMEDIES.get(error.errno, "check the disk")
