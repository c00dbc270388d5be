"""The seal of a trial file: a digest of all that is in it, whatever its layout on disk."""

from __future__ import annotations

import hashlib
from typing import Any

import h5py
import numpy as np

from mritk.store.members import members

SEAL = "digest"


def digest_of(file: h5py.File) -> str:
    """Return the SHA-256 of every attribute and dataset: path, kind, shape and content.

    Texts count by their UTF-8, numbers by their little-endian bytes, tables by their columns; the
    seal itself does not count. Repacking a file does not change it.

    Raises:
        ReachesOutside: Something that is in the file stands in another one.
    """
    sha, inside = hashlib.sha256(), members(file)
    _update_attributes(sha, file)
    for name, node in sorted(inside.items()):
        _update(sha, f"/{name}".encode())
        _update_attributes(sha, node)
        if isinstance(node, h5py.Dataset):
            _update_value(sha, node[()])
    return sha.hexdigest()


def _update_attributes(sha: Any, node: h5py.Group | h5py.Dataset) -> None:
    if not h5py.h5a.get_num_attrs(node.id):  # as of most: to look for names takes longer
        return
    for name in sorted(node.attrs):
        if name != SEAL:
            _update(sha, f"@{name}".encode())
            _update_value(sha, node.attrs[name])


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
