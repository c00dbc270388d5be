"""What is in an HDF5 file, and in no other one."""

from __future__ import annotations

from collections.abc import Iterator

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
    return dict(_below(file, "", file.id.get_filesize()))


def _below(group: h5py.Group, above: str, size: int) -> Iterator[tuple[str, h5py.HLObject]]:
    for name in group:
        path = f"{above}{name}"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ReachesOutside(f"/{path} is a link to somewhere else")
        node = group[name]
        if h5py.h5o.get_info(node.id).rc != 1:
            raise ReachesOutside(f"/{path} has two names")
        yield path, node
        if isinstance(node, h5py.Group):
            yield from _below(node, f"{path}/", size)
        elif isinstance(node, h5py.Dataset):
            _require_inside(node, path, size)
        else:
            raise ReachesOutside(f"/{path} is neither a group nor an array")


def _require_inside(dataset: h5py.Dataset, path: str, size: int) -> None:
    made = dataset.id.get_create_plist()
    if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
        raise ReachesOutside(f"the values of /{path} stand in another file")
    if dataset.nbytes > LARGEST_RATIO * size:
        raise ReachesOutside(f"/{path} is larger than its file can hold")
