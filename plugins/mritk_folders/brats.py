"""A folder of BraTS cases: four sequences and a label map of each, in one folder per case."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np

from mritk import DataError, PassedOver, Samples, Segmentation, list_folder, sha256_of
from mritk_folders.holes import Holes
from mritk_folders.nifti import read_affine, read_label_map, read_with_holes, spacing_of_all
from mritk_folders.place import refuse_elsewhere

# Endings of the files of a case, by sequence: those since 2023, and those before.
SEQUENCES = {
    "t1": ("-t1n", "_t1"),
    "t1ce": ("-t1c", "_t1ce"),
    "t2": ("-t2w", "_t2"),
    "flair": ("-t2f", "_flair"),
}
MASK = ("-seg", "_seg")
# What follows the number of a patient; other names, such as case-001, are of patients themselves.
TIME_POINT = re.compile(r"(?<=-\d{5})-\d{3}$")
SUFFIXES = (".nii.gz", ".nii")
LABELS = ("background", "NETC", "SNFH", "ET")
REGIONS = {"WT": ("NETC", "SNFH", "ET"), "TC": ("NETC", "ET"), "ET": ("ET",)}
# Until 2022 the value of ET was 4, and none was 3. Since 2024 some challenges have another 4.
OLD_ET, ET, OLD = 4, 3, "_seg"
NAMED = 3  # examples in a message


def read_brats(folder: Path, workspace: object = None) -> Samples:
    """Return the cases of a folder in order of name; ids are the names of their folders.

    A case has the patient of its name without the time point: ``BraTS-SSA-00002`` of
    ``BraTS-SSA-00002-000``. Folders of NIfTI files that are all called otherwise are passed over.

    Raises:
        DataError: There is no case, or one that has a file lacks another; or a label map or a
            sequence lies elsewhere than the first sequence of its case.
    """
    endings_of_case = (*SEQUENCES.values(), MASK)
    inside = [one.path for one in list_folder(folder).folders]
    found = {case: [_file(case, *e) for e in endings_of_case] for case in inside}
    # A case that lacks some of its files, or has them by another name, is not left out in silence.
    cases = {case: files for case, files in found.items() if any(files)}
    others = [f"{case.name}/" for case in found if case not in cases and any(case.rglob("*.nii*"))]
    if not any(files[-1] for files in cases.values()):
        raise DataError(
            f"{folder} has no folder CASE with a file CASE-seg.nii.gz; brats:PATH needs the folder "
            "of the training cases of a BraTS challenge, unpacked"
        )
    lacking = [
        f"{case.name}{endings[0]} (or {endings[1]})"
        for case, files in cases.items()
        for file, endings in zip(files, endings_of_case, strict=True)
        if file is None
    ]
    if lacking:
        more = f" and {len(lacking) - NAMED} more" if len(lacking) > NAMED else ""
        raise DataError(
            f"{folder} lacks {', '.join(lacking[:NAMED])}{more}; add them, rename files that are "
            "called otherwise, or move these cases elsewhere"
        )
    whole = [[file for file in files if file is not None] for files in cases.values()]
    paths, masks = [files[:-1] for files in whole], [files[-1] for files in whole]
    inner = [[str(file.relative_to(folder)) for file in files] for files in whole]
    refuse_elsewhere(folder, [(files[0], files[-1]) for files in inner])
    further = [(files[0], one) for files in inner for one in files[1:-1]]
    refuse_elsewhere(folder, further, "further sequences", "the T1 of their case")

    def read(i: int) -> tuple[np.ndarray, float]:
        volumes, holes = zip(*map(read_with_holes, paths[i]), strict=True)
        return np.stack(volumes), float(np.mean(holes))

    def labels(i: int) -> np.ndarray:
        found, name = read_label_map(masks[i]), masks[i].name
        if not name.partition(".")[0].endswith(OLD) and (found == OLD_ET).any():
            raise DataError(
                f"{name} has the label 4, which brats:PATH knows as the enhancing tumour of files "
                "CASE_seg alone; give the labels with manifest:FILE,labels=…"
            )
        return np.where(found == OLD_ET, np.uint8(ET), found)

    def digest(i: int) -> str:
        return hashlib.sha256(" ".join(map(sha256_of, paths[i])).encode()).hexdigest()

    known = Holes(read)
    return Samples(
        ids=[case.name for case in cases],
        targets=np.empty(0),
        task=Segmentation(LABELS, REGIONS),
        read=known.read,
        digest=digest,
        read_target=labels,
        holes=known.share,
        spatial_dims=3,
        patients=[TIME_POINT.sub("", case.name) for case in cases],
        channels=tuple(SEQUENCES),
        spacing=spacing_of_all([files[0] for files in paths]),
        affine=lambda i: read_affine(paths[i][0]),
        passed_over=[PassedOver("with NIfTI files of other names", others)] if others else (),
    )


def _file(case: Path, *endings: str) -> Path | None:
    """Return the file of a case with one of these endings; None if there is none."""
    named = (case / f"{case.name}{ending}{suffix}" for ending in endings for suffix in SUFFIXES)
    return next((file for file in named if file.is_file()), None)
