"""All files of the set as one table of samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mritk import Classification, DataError, Samples, Workspace, one_line, sha256_of
from mritk_figshare.cjdata import SliceHeader, read_header, read_lesion, read_slice
from mritk_figshare.cvind import official_parts
from mritk_figshare.numbered_files import find_numbered_files

# In the order of the labels 1, 2, 3.
CLASSES = ("meningioma", "glioma", "pituitary")

SHOWN = 20


def read_collection(
    folder: Path,
    workspace: Workspace | None = None,
    *,
    fold: int = 0,
    expected: int | None = None,
) -> Samples:
    """Return the slices under ``folder`` as samples, images uint8 (H, W).

    Every file is opened once for its label and patient. Ids are file names such as ``1.mat``,
    without the sub-folder: numbers are unique, and so an id does not depend on how the zip files
    were unpacked. Patients are the publisher's ``PID``.

    Args:
        folder: Where the ``.mat`` files are, at any depth.
        workspace: Not used.
        fold: The fold of ``cvind.mat`` that is the official test part; 0: no official parts.
        expected: How many files there must be; None: any number.

    Raises:
        DataError: Files are malformed (each is named, up to 20), doubled, missing, or not those
            that ``cvind.mat`` describes.
        Unavailable: ``cvind.mat`` is needed and not there.
    """
    slices, folds = find_numbered_files(folder)
    if expected is not None and len(slices) != expected:
        raise DataError(
            f"{folder} has {len(slices)} of the {expected} slices; unpack all four zip files "
            f"there, or use a subset as figshare:{folder}"
        )
    # Before the slices, because it is much the quicker to read.
    splits = official_parts(folder, list(slices), folds, fold) if fold else None
    headers = _headers(folder, slices)
    paths = list(slices.values())
    return Samples(
        ids=[f"{number}.mat" for number in slices],
        targets=np.asarray([header.label - 1 for header in headers]),
        task=Classification(CLASSES),
        read=lambda i: read_slice(paths[i]),
        digest=lambda i: sha256_of(paths[i]),
        patients=[header.patient for header in headers],
        splits=splits,
        read_lesion=lambda i: read_lesion(paths[i]),
    )


def _headers(folder: Path, slices: Mapping[int, Path]) -> list[SliceHeader]:
    # One after the other: the HDF5 library lets one thread in at a time.
    headers, bad = [], []
    for path in slices.values():
        try:
            headers.append(read_header(path))
        except DataError as error:
            bad.append(f"{path.relative_to(folder).as_posix()} ({one_line(error)})")
    if bad:
        more = f"; and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise DataError(
            f"{len(bad)} of {len(slices)} files in {folder} cannot be used: "
            f"{'; '.join(bad[:SHOWN])}{more}; their labels and patients are unknown; repair them, "
            "or move them elsewhere"
        )
    return headers
