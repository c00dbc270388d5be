"""A tree of folders of images, or of NIfTI volumes, as samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mritk import Classification, Samples, Scans, class_tree
from mritk_folders.kind import kind_of
from mritk_folders.scan_table import ScanTable
from mritk_folders.subject import subjects_of

# What people have in place of images and NIfTI files, and what reads it.
OTHER_FORMATS = {
    ".mat": "the .mat files of figshare 1512427 are read by figshare:PATH",
    ".npz": "MedMNIST is read by medmnist:FILE.npz",
    ".parquet": "tables of the Hugging Face hub are read by hf:ORG/REPO",
    ".zip": "unpack the .zip files in it",
    ".gz": "unpack the .gz files in it",
}


def read_tree(
    folder: Path,
    *,
    slices: int = 0,
    frames: int = 0,
    classes: Sequence[str] = (),
    typed: str = "",
    archive: bool = False,
) -> Samples:
    """Return the images, or the NIfTI volumes, under ``folder`` as samples.

    Classes and official parts are those of :func:`mritk.reading.class_tree.class_tree`, and errors
    likewise. Ids are paths relative to ``folder``; classes are sorted by name. If every path holds
    a BIDS entity ``sub-LABEL`` beside the folder of its class, that is the patient; else no
    patients are known. What is no sample is in ``passed_over``.

    Args:
        folder: The root of the tree.
        slices: Axial slices of each volume, see :meth:`mritk_folders.scan_table.ScanTable.samples`.
        frames: Volumes of each series, see there.
        classes: The folders that are classes; empty: the layout tells.
        typed: How a person named the data, for messages; empty: ``folder:`` and the path.
        archive: Whether ``folder`` is the whole content of an archive.

    Raises:
        DataError: The layout is not that of classes, or holds images beside volumes.
        Unavailable: Files are links that lead nowhere.
    """
    scans = Scans(
        typed=typed or f"folder:{folder}",
        noun="images",
        is_scan=lambda path: kind_of(path.name) is not None,
        example="image.png",
        archive=archive,
        masks=True,
        others=OTHER_FORMATS,
    )
    tree = class_tree(folder, scans, classes)
    names = [tree.name(file.path) for file in tree.files]
    # A class may be called sub-acute.
    beside_class = [
        tree.name(file.folder.parent / file.path.relative_to(file.folder)) for file in tree.files
    ]
    parts = [file.part for file in tree.files]
    return ScanTable(
        folder=folder,
        names=names,
        targets=np.asarray([tree.classes.index(file.label) for file in tree.files]),
        task=Classification(tree.classes),
        patients=subjects_of(names, beside_class),
        splits=parts if any(parts) else None,
        passed_over=tree.passed_over("without an image or NIfTI suffix"),
        called=scans.path,
    ).samples(slices, frames)
