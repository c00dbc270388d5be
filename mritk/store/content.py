"""What is in an HDF5 file, and in no other one, read once for all who ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import h5py

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

    def everything(self) -> list[tuple[str, Content | Array]]:
        """Return all that is in the file, in the order of its paths."""
        return sorted(self._nodes.items())

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
