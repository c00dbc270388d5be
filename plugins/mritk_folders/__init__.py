"""Image folders as datasets: ``folder:PATH``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mritk import Dataset, DatasetFamily, Unavailable, Workspace, hookimpl

if TYPE_CHECKING:
    from mritk import Samples


@hookimpl
def mritk_datasets() -> Iterator[DatasetFamily]:
    """Yield the family ``folder:PATH``."""
    yield DatasetFamily(
        "folder",
        resolve=resolve_folder,
        placeholder="PATH",
        summary="images in one folder per class, or Training/ and Testing/ with such folders",
    )


def resolve_folder(path: str) -> Iterator[Dataset]:
    """Yield the dataset in the folder ``path``; its name keeps the last part of the path only.

    Raises:
        Unavailable: There is no such folder.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise Unavailable(
            f"no folder {path}; folder:PATH wants one with a sub-folder of images per class"
        )
    yield Dataset(f"folder:{folder.resolve().name}", open=partial(open_folder, folder))


def open_folder(folder: Path, workspace: Workspace) -> Samples:
    """See :func:`mritk_folders.tree.read_tree`."""
    from mritk_folders.tree import read_tree

    return read_tree(folder)
