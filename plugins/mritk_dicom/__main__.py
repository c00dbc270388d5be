"""``python -m mritk_dicom PATH[,patient=folder]``: which pseudonym stands for whom.

A table with tabs. It holds what mritk otherwise keeps to itself, and goes to stdout only.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mritk import MritkError

COLUMNS = ("id", "class", "patient", "slices", "folder")
BY_FOLDER = ",patient=folder"


def main(arguments: Sequence[str]) -> int:
    """Print the table and return the exit code."""
    from mritk_dicom.collection import find_series

    path = Path(arguments[0].removesuffix(BY_FOLDER)) if len(arguments) == 1 else None
    if path is None or not path.is_dir():
        print(f"usage: python -m mritk_dicom PATH[{BY_FOLDER}]", file=sys.stderr)
        return 2
    try:
        found = find_series(path, "folder" if arguments[0].endswith(BY_FOLDER) else "id")
    except MritkError as error:
        print(f"mritk: {error}", file=sys.stderr)
        return error.exit_code
    print(*COLUMNS, sep="\t")
    for named in found:
        series = named.series
        row = (named.id, series.label, series.patient, len(series.slices), series.folder)
        print(*row, sep="\t")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
