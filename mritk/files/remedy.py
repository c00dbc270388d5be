"""Where the system refuses to write: whether anybody is to blame, and what a person can do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from mritk.errors import causes, one_line
from mritk.files.ground import nearest

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# Of these, a disk is the cause, not the code that writes to it.
OF_THE_DISK = FULL | {errno.EFBIG, errno.EROFS}
RIGHTS = frozenset({errno.EACCES, errno.EPERM})
# These are refused because of a name, a right or a disk, which is no defect of mritk.
ENVIRONMENT = OF_THE_DISK | RIGHTS | {errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP}

REMEDIES: dict[int | None, str] = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "raise the limit on the size of files",
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


def refusal_of_disk(error: BaseException, what: str, home: Path | None = None) -> str:
    """Return one line if no code is to blame for an error; empty if some is.

    None is if a disk is full or read-only, or something in ``home`` may not be used.

    Args:
        error: What the code of a plugin raised, which may have written anywhere.
        what: What to call the file if the system does not say which.
        home: The folder of ``MRITK_HOME``, if that is where the code is meant to write.
    """
    stated = {id(one) for one in causes(error, stated=True)}
    for cause in causes(error):
        # Who handles a file that may not be written goes on without it, and may fail by itself.
        if not isinstance(cause, OSError) or (id(cause) not in stated and cause.errno not in FULL):
            continue
        named = isinstance(cause.filename, (str, Path))
        path = Path(cause.filename) if named else home or Path()
        in_home = home is not None and path.is_relative_to(home)
        if cause.errno in OF_THE_DISK:
            line = f"cannot write {path if named else what}"
        elif cause.errno in RIGHTS and named and in_home:
            line = f"cannot use {path}"
        else:
            continue
        line += f": {os.strerror(cause.errno)}; {remedy_of(cause, path)}"
        return one_line(
            f"{line}, or set MRITK_HOME (it is {home}) to another folder" if in_home else line
        )
    return ""
