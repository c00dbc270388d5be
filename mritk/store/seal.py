"""The seal of a trial file: a digest of all that is in it, whatever its layout on disk."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from mritk.store.content import Array, Content

SEAL = "digest"


def digest_of(content: Content) -> str:
    """Return the SHA-256 of every attribute and array of a file: path, kind, shape and value.

    Texts count by their UTF-8, numbers by their little-endian bytes, tables by their columns; the
    seal itself does not count. Repacking a file does not change it.
    """
    sha = hashlib.sha256()
    _update_attributes(sha, content)
    for name, node in content.everything():
        _update(sha, f"/{name}".encode())
        _update_attributes(sha, node)
        if isinstance(node, Array):
            _update_value(sha, node[()])
    return sha.hexdigest()


def _update_attributes(sha: Any, node: Content | Array) -> None:
    for name, value in sorted(node.attrs.items()):
        if name != SEAL:
            _update(sha, f"@{name}".encode())
            _update_value(sha, value)


def _update_value(sha: Any, value: Any) -> None:
    array = np.asarray(value)
    _update(sha, repr(array.shape).encode())
    for name in array.dtype.names or ():
        _update(sha, f".{name}".encode())
        _update_value(sha, array[name])
    if array.dtype.names:
        return
    if array.dtype.kind in "OUS":
        # HDF5 texts hold no NUL, so that it tells them apart.
        _update(sha, b"\0".join(_as_bytes(text) for text in array.ravel().tolist()))
    else:
        _update(sha, f"{array.dtype.kind}{array.dtype.itemsize}".encode())
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        _update(sha, np.ascontiguousarray(little).tobytes())


def _as_bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogatepass")


def _update(sha: Any, content: bytes) -> None:
    # With its length, so that no two sequences of contents are one and the same.
    sha.update(len(content).to_bytes(8, "little"))
    sha.update(content)
