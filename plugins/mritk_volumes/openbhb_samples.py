"""The scans of OpenBHB as samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import zoom

from mritk import (
    Classification,
    DataError,
    Regression,
    Samples,
    TableRow,
    Workspace,
    grey_levels,
    is_missing,
    read_text_table,
    require_memory,
    sha256_of,
)
from mritk_volumes.openbhb import PAGE, TABLE, OpenBHBOptions

# Official part: its folder, its name in mritk.
PARTS = {
    "train": ("train", "train"),
    "internal_test": ("val", "test"),
    "external_test": ("val", "test"),
}
TESTED = {
    "internal": ("internal_test",),
    "external": ("external_test",),
    "both": ("internal_test", "external_test"),
}
FILES = {"vbm": "preproc-cat12vbm_desc-gm_T1w.npy", "quasiraw": "preproc-quasiraw_T1w.npy"}
SHAPES = {"vbm": (121, 145, 121), "quasiraw": (182, 218, 182)}
SEXES = ("female", "male")
NUMBERS = {"tiv": "tiv", "magnetic_field_strength": "field_strength"}
# Grey levels for a share of grey matter of 1, which modulation may exceed: 255 levels are 1.275.
LEVELS = 200.0


def open_scans(
    folder: Path, options: OpenBHBOptions, workspace: Workspace | None = None
) -> Samples:
    """Return the scans of the training part and of the tested ones, one of each participant.

    Volumes are uint8 (D, H, W), D from inferior to superior, H from anterior to posterior, W as
    stored. Grey matter keeps its scale, 200 levels for a share of 1; intensities become
    :func:`mritk.grey_levels`. Sites are the scanners with their settings (``siteXacq``).
    Covariates: ``part``, ``study``, ``age``, ``sex``, ``tiv`` and ``field_strength``.

    Raises:
        DataError: The table lacks a column or a target, or files are missing.
    """
    table = read_text_table(folder / TABLE)
    needed = ("participant_id", "age", "sex", "siteXacq", "study", "split")
    absent = [name for name in needed if name not in table.columns]
    if absent:
        raise DataError(f"{table.path} has no column {absent[0]}; download it from {PAGE}")
    tested = TESTED[options.test]
    unknown = sorted({row.cells["split"] for row in table.rows} - set(PARTS))
    if unknown:
        raise DataError(f"{table.path}: split is {unknown[0]!r}; expected {', '.join(PARTS)}")
    rows = [row for row in table.rows if row.cells["split"] in ("train", *tested)]
    _require_targets(table.path, rows, options.target)
    files = [_file(folder, row, options.modality) for row in rows]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(files)} volumes are missing in {folder}, the first is "
            f"{missing[0].relative_to(folder).as_posix()}; download them from {PAGE}"
        )
    names = [_participant(row) for row in rows]

    def column(name: str) -> list[str]:
        return [row.cells[name] for row in rows]

    ages = np.array([_number(row, "age") for row in rows])
    numbers = {
        told: np.array([_number(row, name) for row in rows])
        for name, told in NUMBERS.items()
        if name in table.columns
    }
    by_age = options.target == "age"
    side = options.resolution if options.modality == "quasiraw" else 1.5
    return Samples(
        ids=[f"sub-{name}" for name in names],
        targets=ages if by_age else np.array([SEXES.index(sex) for sex in column("sex")]),
        task=Regression("years") if by_age else Classification(SEXES),
        read=lambda i: read_scan(files[i], options),
        digest=lambda i: sha256_of(files[i]),
        spatial_dims=3,
        patients=names,
        sites=column("siteXacq"),
        sources=["OpenBHB"] * len(rows),
        splits=[PARTS[part][1] for part in column("split")],
        spacing=np.full((len(rows), 3), side),
        covariates={
            "part": column("split"),
            "study": column("study"),
            "age": ages,
            "sex": column("sex"),
            **numbers,
        },
    )


def read_scan(path: Path, options: OpenBHBOptions) -> np.ndarray:
    """Return one volume, uint8 (D, H, W).

    Raises:
        DataError: The file is no array of one volume of the published shape, or holds NaN.
    """
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path.name} cannot be read: {error}") from error
    expected = SHAPES[options.modality]
    if stored.shape not in ((1, *expected), (1, 1, *expected)) or stored.dtype.kind not in "fiu":
        raise DataError(
            f"{path.name} is {stored.dtype} {stored.shape}; expected one volume (1, "
            f"{', '.join(map(str, expected))}), so it is not {options.modality}"
        )
    require_memory(3 * stored.nbytes)
    volume = np.array(stored, dtype=np.float32).reshape(expected)
    bad = int(np.count_nonzero(~np.isfinite(volume)))
    if bad:
        raise DataError(f"{path.name} has {bad} voxels that are NaN or infinite")
    if options.modality == "vbm":
        levels = np.rint(volume * LEVELS).clip(0, 255).astype(np.uint8)
    else:
        levels = grey_levels(volume)
        if options.resolution > 1:
            factor = 1 / options.resolution
            levels = zoom(levels, factor, order=1, grid_mode=True, mode="nearest")
    return np.ascontiguousarray(levels.transpose(2, 1, 0)[:, ::-1])


def _require_targets(path: Path, rows: list[TableRow], target: str) -> None:
    for row in rows:
        value = row.cells[target]
        fine = value in SEXES if target == "sex" else np.isfinite(_number(row, target))
        if not fine:
            count = sum(is_missing(other.cells[target]) for other in rows)
            told = f" ({count} of {len(rows)} have none)" if count else ""
            raise DataError(
                f"{path} line {row.line}: {target} is {repr(value) if value else 'empty'}{told}; "
                "give a value, or remove the line"
            )


def _number(row: TableRow, name: str) -> float:
    """Return a number of the table; NaN where it is none."""
    try:
        return float(row.cells[name])
    except ValueError:
        return float("nan")


def _participant(row: TableRow) -> str:
    """Return the participant's number as text, without what pandas may have added."""
    return row.cells["participant_id"].removeprefix("sub-").removesuffix(".0")


def _file(folder: Path, row: TableRow, modality: str) -> Path:
    name = f"sub-{_participant(row)}"
    part = PARTS[row.cells["split"]][0]
    return folder / part / "derivatives" / name / "ses-1" / f"{name}_{FILES[modality]}"
