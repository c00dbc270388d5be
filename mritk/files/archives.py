"""Unpack an untrusted archive: completely or not at all, once, and only below its folder."""

from __future__ import annotations

import lzma
import posixpath
import re
import shutil
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from mritk.errors import DataError, Unavailable, one_line
from mritk.files.atomic import whole_folder
from mritk.files.digests import sha256_of
from mritk.files.mistaken_file import stand_in
from mritk.files.remedy import FULL
from mritk.files.waiting import locked
from mritk.files.workspace import Workspace

# The share of the free disk space that the contents of one archive may fill.
SHARE = 0.9

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
DRIVE = re.compile(r"[A-Za-z]:")

# By their first bytes, archives that Python cannot unpack.
OTHERS = {b"Rar!": "a RAR", b"7z\xbc\xaf": "a 7z"}

# Links to links are followed so far.
HOPS = 8

# The target of a link in a zip is its content.
LONGEST_LINK = 4096

CORRUPT = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError),
    # Encrypted members and unknown compressions of zip files.
    *(RuntimeError, NotImplementedError, ValueError),
)


LEADS_OUT, SPECIAL = "is a link that points out of the archive", "is a device or a pipe"


@dataclass(frozen=True)
class Member:
    """One member of an archive that is a file, or a link to one.

    Attributes:
        name: Its name as the archive gives it, for messages.
        path: Where it goes, relative to the folder of the archive.
        size: Bytes of its content, 0 for a link.
        link: Where the link leads, relative to the same folder; None: it is a file.
        open: Opens its content.
    """

    name: str
    path: PurePosixPath
    size: int
    link: str | None
    open: Callable[[], IO[bytes]]


# The files and links of an archive, and its folders.
Contents = tuple[list[Member], list[PurePosixPath]]


def unpacked(archive: Path, workspace: Workspace) -> Path:
    """Return a folder with the contents of a zip or tar archive, unpacked if necessary.

    The folder is ``unpacked/<first 32 digits of the archive's SHA-256>`` in the workspace, so that
    an archive is unpacked once, regardless of its location, and again if it changes. It is created
    atomically; concurrent processes wait for the first one.

    Zip (stored, deflated, bzip2, LZMA) and tar (plain, gzip, bzip2, xz) are known by content. A
    backslash in a name separates folders. A link to a file of the archive becomes a copy of that
    file; links are never created. Empty folders are kept; permissions, owners and times are not.

    Raises:
        DataError: The archive is damaged, encrypted or of another format; a member has an absolute
            name or one with ``..``, is a broken link, a link out of the archive or a device; two
            members have the same name, up to case and Unicode form; or the contents would fill
            more than 90 % of the free disk space.
        Unavailable: There is no such archive.
    """
    if not archive.is_file():
        raise Unavailable(f"no archive {archive}; specify a .zip, .tar or .tar.gz file")
    root = workspace.folder("unpacked")
    key = sha256_of(archive)[:32]
    folder = root / key
    if folder.is_dir():
        return folder
    with locked(root / f".{key}.lock", f"unpacks {archive.name}"):
        if folder.is_dir():
            return folder
        with whole_folder(folder) as draft, _opened(archive) as (members, folders):
            _unpack(archive, members, folders, draft)
    return folder


def _unpack(
    archive: Path, members: Sequence[Member], folders: Sequence[PurePosixPath], folder: Path
) -> None:
    files = _resolved(archive, members, folders)
    total = sum(content.size for _, content in files)
    room = int(shutil.disk_usage(folder).free * SHARE)
    if total > room:
        raise DataError(
            f"{archive} would unpack to {total / 1e9:.3g} GB, but {folder.parent} has space for "
            f"{room / 1e9:.3g} GB (90 % of the free space); free space, or set MRITK_HOME to "
            "another disk"
        )
    for member, content in files:
        target = folder / member.path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with content.open() as source, target.open("xb") as stream:
                shutil.copyfileobj(source, stream, 1 << 20)
                written = stream.tell()
        except (*CORRUPT, OSError) as error:
            raise _damaged(archive, member.name, error) from error
        if written != content.size:
            raise _damaged(archive, member.name, f"{written} of {content.size} bytes")
    for path in folders:
        try:
            (folder / path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _damaged(archive, str(path), error) from error


def _resolved(
    archive: Path, members: Sequence[Member], folders: Sequence[PurePosixPath]
) -> list[tuple[Member, Member]]:
    """Return each member with the one whose content it has: itself, or where its link leads."""
    by_path: dict[str, Member] = {}
    spelt: dict[str, str] = {}
    for member in members:
        # Nor do all disks tell an accent in its letter (NFC) from one that follows it (NFD).
        alike = unicodedata.normalize("NFC", str(member.path)).casefold()
        other = spelt.setdefault(alike, member.name)
        if str(member.path) in by_path or other != member.name:
            raise DataError(
                f"{archive} contains {other!r} and {member.name!r}, which are the same file on "
                "some file systems; rename one of them and recreate the archive"
            )
        by_path[str(member.path)] = member
    pairs = []
    for member in members:
        content: Member | None = member
        leads = ""
        for _ in range(HOPS):
            if content is None or content.link is None:
                break
            leads = content.link
            content = by_path.get(leads)
        if content is None or content.link is not None:
            inside = {*folders, *(path for one in members for path in one.path.parents)}
            where = "a folder in" if PurePosixPath(leads) in inside else "a file outside"
            raise DataError(
                f"{archive}: {member.name!r} is a link to {where} the archive; recreate it with "
                "the link's target (tar --dereference)"
            )
        pairs.append((member, content))
    return pairs


@contextmanager
def _opened(archive: Path) -> Iterator[Contents]:
    """Yield the members and the folders, and check that the archive was read to its end."""
    try:
        with archive.open("rb") as stream:
            magic = stream.read(4)
        if magic in OTHERS:
            raise DataError(
                f"{archive} is {OTHERS[magic]} archive, which mritk cannot unpack; unpack it "
                "manually and specify the folder"
            )
        if magic in ZIP_MAGIC:
            with zipfile.ZipFile(archive) as packed:
                yield _zip_members(archive, packed)
        else:
            with tarfile.open(archive) as packed_tar:
                found = _tar_members(archive, packed_tar)
                _check_end(packed_tar)
                yield found
    except (*CORRUPT, OSError) as error:
        if other := stand_in(archive):
            raise DataError(f"{archive} {other}") from error
        raise DataError(
            f"{archive} is not a zip or tar archive, or is damaged: {_reason(error)}; download it "
            "again"
        ) from error


def _zip_members(archive: Path, packed: zipfile.ZipFile) -> Contents:
    members, folders = [], []
    for info in packed.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        path = _safe(archive, info.filename)
        if info.is_dir():
            folders.append(path)
            continue
        if kind not in (0, stat.S_IFREG, stat.S_IFLNK):
            raise _untrusted(archive, info.filename, SPECIAL)
        if info.flag_bits & 1:
            raise DataError(f"{archive} is encrypted; unpack it manually and specify the folder")
        link = None
        if kind == stat.S_IFLNK:
            if info.file_size > LONGEST_LINK:
                raise _untrusted(archive, info.filename, LEADS_OUT)
            target = packed.read(info).decode("utf-8", "replace")
            link = _link(archive, info.filename, target, path.parent)
        size = 0 if link else info.file_size
        members.append(Member(info.filename, path, size, link, partial(packed.open, info)))
    return members, folders


def _tar_members(archive: Path, packed: tarfile.TarFile) -> Contents:
    members, folders = [], []
    for info in packed:
        path = _safe(archive, info.name)
        if info.isdir():
            folders.append(path)
            continue
        if not (info.isfile() or info.issym() or info.islnk()):
            raise _untrusted(archive, info.name, SPECIAL)
        link = None
        if info.issym():
            link = _link(archive, info.name, info.linkname, path.parent)
        elif info.islnk():  # a hard link names its target from the root of the archive
            link = _link(archive, info.name, info.linkname, PurePosixPath())

        def content(info: tarfile.TarInfo = info) -> IO[bytes]:
            stream = packed.extractfile(info)
            assert stream is not None  # it is a file
            return stream

        members.append(Member(info.name, path, 0 if link else info.size, link, content))
    return members, folders


def _check_end(packed: tarfile.TarFile) -> None:
    """Make sure that the archive ends where tarfile stopped.

    It also stops at a damaged header, or where a file was cut between two members, and the rest
    would be lost without a word.
    """
    stream = packed.fileobj
    assert stream is not None
    stream.seek(packed.offset)
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError(f"a damaged or missing header at byte {packed.offset}")
    while stream.read(1 << 20):  # compressed data are compared with their checksum at their end
        pass


def _safe(archive: Path, name: str) -> PurePosixPath:
    """Return a member's path, if it stays inside the folder that it is unpacked to."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or DRIVE.match(name) or "\0" in name:
        raise _untrusted(archive, name, "would be written outside the folder of the archive")
    return path


def _link(archive: Path, name: str, target: str, folder: PurePosixPath) -> str:
    target = target.replace("\\", "/")
    path = posixpath.normpath(posixpath.join(str(folder), target))
    if posixpath.isabs(path) or path.split("/")[0] == ".." or DRIVE.match(target):
        raise _untrusted(archive, name, LEADS_OUT)
    return path


def _untrusted(archive: Path, name: str, what: str) -> DataError:
    return DataError(
        f"{archive}: the member {name!r} {what}; nothing was unpacked; do not trust this archive"
    )


def _damaged(archive: Path, name: str, error: Exception | str) -> DataError:
    reason = error if isinstance(error, str) else _reason(error)
    number = getattr(error, "errno", None)
    if number in FULL:
        remedy = "free some space"
    elif number:  # the archive may be as it should be
        remedy = "unpack it manually and specify the folder"
    else:
        remedy = "download the archive again"
    return DataError(f"{archive}: the member {name!r} cannot be unpacked: {reason}; {remedy}")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line(error)
