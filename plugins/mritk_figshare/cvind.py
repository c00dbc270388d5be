"""The publisher's five folds: ``cvind.mat``, one fold number for each file in order of number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mritk import DataError, Unavailable, one_line
from mritk_figshare import FOLDS, PAGE


def official_parts(
    folder: Path, numbers: Sequence[int], files: Sequence[Path], fold: int
) -> list[str]:
    """Return ``test`` for the files of fold ``fold`` and ``train`` for the others.

    Args:
        folder: Where the set is, for messages.
        numbers: File numbers.
        files: Every ``cvind.mat`` that was found.
        fold: 1 to 5.

    Raises:
        Unavailable: There is no ``cvind.mat``.
        DataError: There are several, it is malformed, no file is of this fold, or it does not
            describe exactly the files that are there.
    """
    if not files:
        raise Unavailable(
            f"fold={fold} needs cvind.mat, which is not in {folder}; download it from {PAGE} and "
            f"put it there, or remove fold={fold}"
        )
    if len(files) > 1:
        listed = " and ".join(file.relative_to(folder).as_posix() for file in files[:2])
        raise DataError(f"{folder} contains {listed}; keep the one for these slices")
    folds = read_folds(files[0])
    if set(numbers) != set(range(1, len(folds) + 1)):
        raise DataError(_mismatch(folder, files[0], set(numbers), len(folds)))
    if fold not in folds:
        raise DataError(f"{files[0]} has no file in fold {fold}; download it again")
    return ["test" if folds[number - 1] == fold else "train" for number in numbers]


def read_folds(path: Path) -> np.ndarray:
    """Return the fold of file 1, 2, …: (N,) int64 from 1 to 5.

    Raises:
        DataError: The file is neither MATLAB v7.3 nor v5, is damaged, or does not hold one vector
            ``cvind`` of whole numbers from 1 to 5.
    """
    try:
        values = _stored(path)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # the readers raise whatever a damaged file makes them stumble over
        raise DataError(
            f"{path} is not a MATLAB file, or is damaged ({one_line(error)}); download it again"
        ) from error
    values = np.asarray(values)
    if values.dtype.kind not in "iuf" or max(values.shape, default=0) != values.size:
        raise DataError(f"{path}: cvind is {values.dtype} {values.shape}, not a vector of folds")
    folds = values.ravel()
    wrong = ~np.isin(folds, range(1, FOLDS + 1))
    if not folds.size or wrong.any():
        shown = f"contains {folds[wrong][0]:g}" if folds.size else "is empty"
        raise DataError(f"{path}: cvind {shown}; folds are 1 to {FOLDS}; download it again")
    return folds.astype(np.int64)


def _stored(path: Path) -> Any:
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            found = file.get("cvind")
            if not isinstance(found, h5py.Dataset):
                raise DataError(f"{path} has no variable cvind; download it again")
            return [] if found.attrs.get("MATLAB_empty") else found[()]
    from scipy.io import loadmat

    variables = loadmat(path, variable_names=["cvind"], appendmat=False)
    if "cvind" not in variables:
        raise DataError(f"{path} has no variable cvind; download it again")
    return variables["cvind"]


def _mismatch(folder: Path, path: Path, numbers: set[int], entries: int) -> str:
    absent = sorted(set(range(1, entries + 1)) - numbers)
    extra = sorted(numbers - set(range(1, entries + 1)))
    example = f"{absent[0]}.mat is missing" if absent else f"{extra[0]}.mat has no fold"
    return (
        f"{path} has folds for {entries} files, but {folder} contains {len(numbers)} ({example}), "
        "so the split would not be the official one; unpack all four zip files of one version, "
        "or remove fold"
    )
