"""``python -m mritk_dicom PATH``: which pseudonym stands for whom, as a table with tabs.

The table holds what mritk otherwise keeps to itself; it goes to stdout only.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mritk import MritkError

COLUMNS = ("id", "class", "PatientID", "slices", "folder")


def main(arguments: Sequence[str]) -> int:
    """Print the table and return the exit code."""
    from mritk_dicom.collection import find_series

    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python -m mritk_dicom PATH", file=sys.stderr)
        return 2
    try:
        found = find_series(Path(arguments[0]))
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
