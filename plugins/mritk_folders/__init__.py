"""Files of one's own as datasets: ``folder:``, ``bids:`` and ``brats:PATH``, ``manifest:FILE``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mritk import Dataset, DatasetFamily, Unavailable, hookimpl, lazy, user_path

if TYPE_CHECKING:
    from mritk import Samples, Workspace
    from mritk_folders.options import BidsOptions, FolderOptions, ManifestOptions

LICENSE = "unknown: user-provided files"


@hookimpl
def mritk_datasets() -> Iterator[DatasetFamily]:
    """Yield the families ``folder:PATH``, ``bids:PATH``, ``brats:PATH`` and ``manifest:FILE``."""
    yield DatasetFamily(
        "folder",
        resolve=resolve_folder,
        placeholder="PATH",
        summary="images or NIfTI in one folder per class, or Training/ and Testing/ with such "
        "folders",
        options=lazy("mritk_folders.options:FolderOptions"),
        reads=lazy("mritk_folders.recognise:is_tree"),
    )
    yield DatasetFamily(
        "bids",
        resolve=resolve_bids,
        placeholder="PATH",
        summary="a BIDS dataset; ,target=COLUMN is the target column of participants.tsv",
        options=lazy("mritk_folders.options:BidsOptions"),
        reads=lazy("mritk_folders.recognise:is_bids"),
    )
    yield DatasetFamily(
        "brats",
        resolve=resolve_brats,
        placeholder="PATH",
        summary="cases of a BraTS challenge: four sequences, regions WT, TC and ET",
        reads=lazy("mritk_folders.recognise:is_brats"),
    )
    yield DatasetFamily(
        "manifest",
        resolve=resolve_manifest,
        placeholder="FILE",
        summary="a .csv or .tsv with the columns path and label, next to images or NIfTI",
        options=lazy("mritk_folders.options:ManifestOptions"),
        reads=lazy("mritk_folders.recognise:is_table"),
    )


def resolve_folder(path: str, options: FolderOptions) -> Iterator[Dataset]:
    """Yield the dataset in the folder or archive ``path``; its name keeps the last part of it.

    ``ARCHIVE/FOLDER`` is a folder in an archive.

    Raises:
        Unavailable: There is no such folder or archive.
        UsageError: It is something else, see :func:`mritk_folders.recognise.refuse_no_tree`.
    """
    from mritk_folders.recognise import refuse_no_tree

    folder = user_path(path)
    archive = next((place for place in (folder, *folder.parents) if place.is_file()), None)
    refuse_no_tree(archive or folder)
    if not (folder.is_dir() or archive):
        raise Unavailable(
            f"no folder {path}; folder:PATH needs a folder with one subfolder of images per "
            "class, or a zip or tar file of it"
        )
    yield Dataset(
        f"folder:{folder.resolve().name}",
        open=partial(open_folder, folder, options, typed=f"folder:{path}", archive=archive),
        license=LICENSE,
        no_patients="unless every file is named after a sub-ID; use --patient-regex or --patients",
    )


def resolve_bids(path: str, options: BidsOptions) -> Iterator[Dataset]:
    """Yield the BIDS dataset in the folder ``path``.

    Raises:
        Unavailable: There is no such folder, or no participants.tsv in it.
    """
    folder = user_path(path)
    if not (folder / "participants.tsv").is_file():
        raise Unavailable(
            f"no {folder / 'participants.tsv'}; bids:PATH needs the root of a BIDS dataset, with "
            "participants.tsv and the sub-* folders"
        )
    yield Dataset(
        f"bids:{folder.resolve().name}",
        open=partial(lazy("mritk_folders.bids:read_bids"), folder, options),
        license=LICENSE,
    )


def resolve_brats(path: str) -> Iterator[Dataset]:
    """Yield the BraTS cases in the folder ``path``.

    Raises:
        Unavailable: There is no such folder.
    """
    folder = user_path(path)
    if not folder.is_dir():
        raise Unavailable(
            f"no folder {path}; brats:PATH needs the unpacked training cases of a BraTS challenge, "
            "one folder each"
        )
    yield Dataset(
        f"brats:{folder.resolve().name}",
        open=partial(lazy("mritk_folders.brats:read_brats"), folder),
        license=LICENSE,
    )


def resolve_manifest(path: str, options: ManifestOptions) -> Iterator[Dataset]:
    """Yield the dataset that the table ``path`` lists.

    Raises:
        Unavailable: There is no such file.
    """
    file = user_path(path)
    if not file.is_file():
        raise Unavailable(
            f"no file {path}; manifest:FILE needs a .csv or .tsv with the columns path and label"
        )
    yield Dataset(
        f"manifest:{file.resolve().name}",
        open=partial(lazy("mritk_folders.manifest:read_manifest"), file, options),
        license=LICENSE,
        no_patients="unless the table has a column patient",
    )


def open_folder(
    folder: Path, options: FolderOptions, workspace: Workspace, *, typed: str, archive: Path | None
) -> Samples:
    """See :func:`mritk_folders.tree.read_tree`; an archive is unpacked in the workspace first.

    Raises:
        Unavailable: There is no such folder in the archive.
    """
    from mritk import named_classes, unpacked
    from mritk_folders.tree import read_tree

    whole = folder == archive
    if archive is not None:
        inside = folder.relative_to(archive)
        folder = unpacked(archive, workspace) / inside
        if ".." in inside.parts or not folder.is_dir():
            raise Unavailable(f"no folder {inside.as_posix()} in {archive}; use folder:{archive}")
    return read_tree(
        folder,
        slices=options.slices,
        frames=options.frames,
        classes=named_classes(options.classes),
        typed=typed,
        archive=whole,
    )
