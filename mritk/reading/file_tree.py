"""List a folder with all that is in it, once; what cannot be listed is an error, not nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mritk.errors import DataError
from mritk.reading.litter import is_litter
from mritk.reading.results_folder import is_results_folder


@dataclass(frozen=True)
class FileTree:
    """A folder and what is in it, sorted by name, without litter and results folders of mritk.

    Attributes:
        path: The folder.
        folders: The folders in it, links to folders included; hidden ones are not listed further.
        files: Its files, links to files and links that lead nowhere included.
        specials: Pipes, sockets and devices.
    """

    path: Path
    folders: tuple[FileTree, ...] = ()
    files: tuple[Path, ...] = ()
    specials: tuple[Path, ...] = field(default=(), repr=False)

    def walk(self) -> Iterator[FileTree]:
        """Yield this folder and every folder below it."""
        yield self
        for folder in self.folders:
            yield from folder.walk()


def list_tree(folder: Path) -> FileTree:
    """Return ``folder`` and everything below it. Links to folders are followed.

    Raises:
        DataError: A folder cannot be listed, or a link points to a folder that contains it.
    """
    above = []
    for parent in folder.resolve().parents:
        with suppress(OSError):  # what is above may be closed to us
            above.append(_identity(parent, ()))
    return _listed(folder, tuple(above))


def list_folder(folder: Path) -> FileTree:
    """Return ``folder`` and its direct contents; its subfolders are not listed.

    Raises:
        DataError: It cannot be listed.
    """
    return _listed(folder, None)


def _listed(folder: Path, above: tuple[tuple[int, int], ...] | None) -> FileTree:
    """List a folder.

    Args:
        folder: The folder.
        above: Device and inode of the folders that contain it; None: list no folder in it.
    """
    folders: list[FileTree] = []
    files: list[Path] = []
    specials: list[Path] = []
    try:
        inside = above if above is None else (*above, _identity(folder, above))
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            if is_litter(entry.name):
                continue
            path = folder / entry.name
            if _is_folder(entry):
                if is_results_folder(path):  # made by 'mritk run' in the folder of the data
                    continue
                hidden = entry.name.startswith(".")
                enter = inside is not None and not hidden
                folders.append(_listed(path, inside) if enter else FileTree(path))
            elif entry.is_symlink() or entry.is_file():
                # A link to a pipe is one, a link that leads nowhere a file that was not fetched.
                special = entry.is_symlink() and path.exists() and not path.is_file()
                (specials if special else files).append(path)
            else:
                specials.append(path)
    except OSError as error:
        raise DataError(
            f"{error.filename or folder} cannot be listed ({error.strerror}), so data may be "
            "missing; grant read permission (chmod u+rx), or move it elsewhere"
        ) from error
    return FileTree(folder, tuple(folders), tuple(files), tuple(specials))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except PermissionError:
        raise
    except OSError:  # a link to itself
        return False


def _identity(folder: Path, above: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    status = folder.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        raise DataError(f"{folder} is a link to a folder that contains it; remove the link")
    return identity
