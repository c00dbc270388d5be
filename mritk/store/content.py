"""What is in an HDF5 file, and in no other one, read once for all who ask; and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import numpy as np

# The attribute of a file that states the digest of all that is in it.
SEAL = "digest"
# The best that deflate can do; a value may not be larger than its file could unfold to.
LARGEST_RATIO = 1032
# Larger values are read again: a segmentation has hundreds of label maps.
LARGEST_HELD = 1 << 16


class ReachesOutside(ValueError):
    """A member stands in another file, or is no plain group or array."""


class Array:
    """A dataset of an open file.

    Attributes:
        dataset: As h5py gives it.
        attrs: Its attributes.
    """

    def __init__(self, dataset: h5py.Dataset, *, hold: bool) -> None:
        self.dataset = dataset
        self.attrs = _attributes(dataset)
        self._hold, self._held = hold, None

    def __getitem__(self, whole: tuple[()]) -> Any:
        """Return its value, as h5py gives it: ``array[()]``."""
        value = self.dataset[whole] if self._held is None else self._held
        if self._hold:
            self._held = value
        return value


class Content(Mapping[str, Any]):
    """A group of an open file: its groups and arrays, by name or path.

    Attributes:
        attrs: Its attributes.
    """

    def __init__(self, file: h5py.File) -> None:
        """Take what is in a file.

        HDF5 follows links into other files, and puts datasets together from them, wherever they are
        on this machine: a file that somebody sent could show what it never held. Nothing is
        followed, and no value is read.

        Raises:
            ReachesOutside: There is such a link or dataset, two names for one thing, or a dataset
                that is larger than the file can hold.
        """
        self.attrs = _attributes(file)
        self._path = ""
        self._nodes: dict[str, Content | Array] = {}
        links: list[tuple[bytes, int, int]] = []
        # Goes down plain links only, and names the others.
        file.id.links.visit(lambda name, at: links.append((name, at.type, at.u)), info=True)
        seen, size = {h5py.h5o.get_info(file.id).addr}, file.id.get_filesize()
        for name, kind, address in links:
            path = name.decode()
            if kind != h5py.h5l.TYPE_HARD:
                raise ReachesOutside(f"/{path} is an external link")
            if address in seen:
                raise ReachesOutside(f"/{path} is a hard link to another object")
            seen.add(address)
            self._nodes[path] = self._inside(h5py.h5o.open(file.id, name), path, size)

    def _inside(self, node: h5py.h5d.DatasetID, path: str, size: int) -> Content | Array:
        if isinstance(node, h5py.h5g.GroupID):
            return self._group(h5py.Group(node), path)
        if not isinstance(node, h5py.h5d.DatasetID):
            raise ReachesOutside(f"/{path} is neither a group nor an array")
        made = node.get_create_plist()
        if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
            raise ReachesOutside(f"the values of /{path} are in another file")
        nbytes = node.get_type().get_size() * node.get_space().get_select_npoints()
        if nbytes > LARGEST_RATIO * size:
            raise ReachesOutside(f"/{path} is larger than the file")
        return Array(h5py.Dataset(node), hold=nbytes <= LARGEST_HELD)

    def _group(self, group: h5py.Group, path: str) -> Content:
        found = Content.__new__(Content)
        found.attrs, found._path, found._nodes = _attributes(group), f"{path}/", self._nodes
        return found

    def digest(self) -> str:
        """Return the SHA-256 of every attribute and array: path, kind, shape and value.

        Texts count by their UTF-8, numbers by their little-endian bytes, tables by their columns;
        the seal itself does not count. Repacking a file does not change it.
        """
        sha = hashlib.sha256()
        _update_attributes(sha, self.attrs)
        for path, node in sorted(self._nodes.items()):
            _update(sha, f"/{path}".encode())
            _update_attributes(sha, node.attrs)
            if isinstance(node, Array):
                _update_value(sha, node[()])
        return sha.hexdigest()

    def __getitem__(self, name: str) -> Any:
        return self._nodes[self._path + name]

    def __iter__(self) -> Iterator[str]:
        start = len(self._path)
        below = (path[start:] for path in self._nodes if path.startswith(self._path))
        return (name for name in below if "/" not in name)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _attributes(node: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    if not h5py.h5a.get_num_attrs(node.id):  # as of most: to look for names takes longer
        return {}
    return dict(node.attrs)


def _update_attributes(sha: Any, attrs: Mapping[str, Any]) -> None:
    for name, value in sorted(attrs.items()):
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
