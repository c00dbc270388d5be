"""What is in an HDF5 file, and in no other one."""

from __future__ import annotations

import h5py

# The best that deflate can do; a value may not be larger than its file could unfold to.
LARGEST_RATIO = 1032


class ReachesOutside(ValueError):
    """A member stands in another file, or is no plain group or array."""


def members(file: h5py.File) -> dict[str, h5py.Group | h5py.Dataset]:
    """Return every group and dataset of a file, by its path without the first slash.

    HDF5 follows links into other files, and puts datasets together from them, wherever they are on
    this machine: a file that somebody sent could show what it never held. Nothing is followed, and
    no value is read.

    Raises:
        ReachesOutside: There is such a link or dataset, two names for one thing, or a dataset that
            is larger than the file can hold.
    """
    links: list[tuple[bytes, int, int]] = []
    # Goes down plain links only, and names the others.
    file.id.links.visit(lambda name, at: links.append((name, at.type, at.u)), info=True)
    found, seen = {}, {h5py.h5o.get_info(file.id).addr}
    size = file.id.get_filesize()
    for name, kind, address in links:
        path = name.decode()
        if kind != h5py.h5l.TYPE_HARD:
            raise ReachesOutside(f"/{path} is an external link")
        if address in seen:
            raise ReachesOutside(f"/{path} is a hard link to another object")
        seen.add(address)
        found[path] = _inside(h5py.h5o.open(file.id, name), path, size)
    return found


def _inside(node: h5py.h5d.DatasetID, path: str, size: int) -> h5py.Group | h5py.Dataset:
    if isinstance(node, h5py.h5g.GroupID):
        return h5py.Group(node)
    if not isinstance(node, h5py.h5d.DatasetID):
        raise ReachesOutside(f"/{path} is neither a group nor an array")
    made, dataset = node.get_create_plist(), h5py.Dataset(node)
    if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
        raise ReachesOutside(f"the values of /{path} are in another file")
    if dataset.nbytes > LARGEST_RATIO * size:
        raise ReachesOutside(f"/{path} is larger than the file")
    return dataset
