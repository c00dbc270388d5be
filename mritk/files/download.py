"""Fetch one file over HTTP: once, proven by its digest, complete or not there at all."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib import request
from urllib.error import HTTPError
from urllib.parse import urlparse

from mritk.errors import Unavailable, UsageError
from mritk.files.digests import sha256_of
from mritk.files.waiting import locked
from mritk.files.workspace import Workspace

# A machine without a network should learn so at once.
PATIENCE_S = 10.0

# A connection that breaks is taken up again where it broke, so many times.
ATTEMPTS = 5

BLOCK = 1 << 18

# A whole SHA-256, or its first digits where a publisher states no more.
DIGEST = re.compile(r"[0-9a-f]{8,64}")
# Refusals that pass: what is here already is worth another try later.
PASSING = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)

CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)", re.IGNORECASE)


class _Cut(Exception):
    """The connection ended before the file did; what came is kept."""


@dataclass(frozen=True)
class _Wanted:
    """What is to be where; ``instructions`` end every message about it."""

    url: str
    path: Path
    sha256: str
    instructions: str

    @property
    def part(self) -> Path:
        """The incomplete file, beside the complete one so that renaming is atomic."""
        return self.path.with_name(f"{self.path.name}.part")

    def unavailable(self, reason: str) -> Unavailable:
        more = f"; {self.instructions}" if self.instructions else ""
        return Unavailable(
            f"no {self.path.name} (SHA-256 {self.sha256}) on this machine ({reason}); download "
            f"{self.url} on a connected machine and copy it to {self.path}{more}"
        )


def fetch_file(
    url: str, path: Path, *, sha256: str, workspace: Workspace, instructions: str = ""
) -> Path:
    """Return ``path``, after downloading ``url`` to it if it does not exist.

    The download is written to ``PATH.part``, which a later call resumes if the server allows, and
    renamed to ``path`` only when it is complete, synced and verified. Concurrent processes and
    threads wait for the first one (``PATH.lock``).

    Args:
        url: Address, ``http`` or ``https``.
        path: Where to store the file; its folder is created.
        sha256: Digest of the file in hexadecimal, or its first digits (8 or more).
        workspace: Whether downloads are allowed.
        instructions: Additional instructions for a manual download, such as a licence to accept;
            one clause without a full stop.

    Raises:
        Unavailable: The file is missing and the workspace is offline; the download fails;
            or its digest differs. The message states file, source, digest and destination.
        UsageError: ``url`` or ``sha256`` is invalid.
    """
    sha256 = sha256.lower()
    if urlparse(url).scheme not in ("http", "https"):
        raise UsageError(f"cannot download {url!r}; use a URL that starts with https://")
    if not DIGEST.fullmatch(sha256):
        raise UsageError(
            f"{sha256!r} is not a valid SHA-256 for {url}; use its 64 hexadecimal digits, or the "
            "first 8 or more (unverified files are not downloaded)"
        )
    wanted = _Wanted(url, path, sha256, instructions)
    if _is_here(wanted):
        return path
    if workspace.offline:
        raise wanted.unavailable("offline mode")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(f"{path.name}.lock"), f"downloads {path.name}"):
            if not _is_here(wanted):
                _download(wanted)
                wanted.part.replace(path)
    except (OSError, HTTPException) as error:
        raise wanted.unavailable(str(error) or type(error).__name__) from error
    return path


def _is_here(wanted: _Wanted) -> bool:
    if not wanted.path.is_file():
        return False
    found = sha256_of(wanted.path)
    if not found.startswith(wanted.sha256):
        raise Unavailable(
            f"{wanted.path} has SHA-256 {found}, expected {wanted.sha256}; it is damaged or "
            f"another version; delete it to download it again from {wanted.url}"
        )
    return True


def _download(wanted: _Wanted) -> None:
    """Fill the part file and prove it; once from zero if it went on from another file's."""
    for _again in range(2):
        resumed = _fill(wanted)
        found = sha256_of(wanted.part)
        if found.startswith(wanted.sha256):
            return
        wanted.part.unlink()
        if not resumed:
            break
    raise wanted.unavailable(
        f"the download has SHA-256 {found}, expected {wanted.sha256}, and was deleted"
    )


def _fill(wanted: _Wanted) -> bool:
    """Fill the part file; return whether the last answer went on from what was there."""
    cuts: list[_Cut] = []
    while len(cuts) < ATTEMPTS:
        try:
            return _go_on(wanted)
        except _Cut as cut:
            cuts.append(cut)
    raise wanted.unavailable(
        f"the connection failed {ATTEMPTS} times, last {cuts[-1]}; the same command resumes from "
        "there"
    ) from cuts[-1]


def _go_on(wanted: _Wanted) -> bool:
    """Fill the part file by one answer; return whether it went on from what was there."""
    have = wanted.part.stat().st_size if wanted.part.is_file() else 0
    if have:
        try:
            with _open(wanted.url, have) as response:
                start, total = _extent(response)
                # A server without ranges sends everything from the start.
                if start == have or response.status != HTTPStatus.PARTIAL_CONTENT:
                    _receive(response, wanted, start, total)
                    return start > 0
        except HTTPError as error:
            if error.code in PASSING:
                raise
            # Nothing stands behind what is here: the part is whole, or no part of this file.
            is_end = error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            if is_end and sha256_of(wanted.part).startswith(wanted.sha256):
                return True
            # Another refusal may be of the range alone: the answer without one decides.
    with _open(wanted.url, 0) as response:
        _receive(response, wanted, 0, _extent(response)[1])
    return False


def _open(url: str, start: int) -> HTTPResponse:
    headers = {"User-Agent": "mritk", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    opener = request.OpenerDirector()
    # Without those for files and FTP, to which a redirection could lead otherwise.
    for handler in (
        request.ProxyHandler,
        request.UnknownHandler,
        request.HTTPHandler,
        request.HTTPSHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPRedirectHandler,
        request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    response = opener.open(request.Request(url, headers=headers), timeout=PATIENCE_S)
    assert isinstance(response, HTTPResponse)
    return response


def _extent(response: HTTPResponse) -> tuple[int, int | None]:
    """Return where the body begins, and the size of the whole file if the server tells it.

    A part that does not say which it is (RFC 9110, 14.4), or is several, begins nowhere: at -1.
    """
    if response.status != HTTPStatus.PARTIAL_CONTENT:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    told = ", ".join(response.headers.get_all("Content-Range", ()))
    if not (stated := CONTENT_RANGE.fullmatch(told.strip())):
        return -1, None
    start, last = int(stated[1]), int(stated[2])
    total = None if stated[3] == "*" else int(stated[3])
    is_valid = start <= last and (total is None or last < total)
    return (start, total) if is_valid else (-1, None)


def _receive(response: HTTPResponse, wanted: _Wanted, have: int, total: int | None) -> None:
    with (
        wanted.part.open("ab" if have else "wb") as stream,
        _bar(wanted.path.name, have, total) as bar,
    ):
        try:
            while block := response.read1(BLOCK):  # read would lose what came before an error
                have += stream.write(block)
                bar.update(len(block))
        except (ConnectionError, TimeoutError, HTTPException) as error:
            raise _Cut(f"after {have} bytes ({error or type(error).__name__})") from error
        finally:
            stream.flush()
            os.fsync(stream.fileno())
    if total is not None and have < total:
        raise _Cut(f"after {have} of {total} bytes")


def _bar(name: str, have: int, total: int | None) -> Any:
    from tqdm import tqdm

    silent = not sys.stderr.isatty() or bool(os.environ.get("CI"))
    return tqdm(
        desc=name, initial=have, total=total, unit="B", unit_scale=True, leave=False, disable=silent
    )
