"""``python -m mritk_dicom PATH[,classes=A/B][,patient=folder]``: which pseudonym stands for whom.

A table with tabs. It holds what mritk otherwise keeps to itself, and goes to stdout only.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from mritk import MritkError, named_classes
from mritk_dicom.patient_rule import PatientRule

COLUMNS = ("id", "class", "patient", "slices", "folder")
OPTION = re.compile(r",(?:classes=(?P<classes>[^,]+)|patient=(?P<patient>id|folder|none))$")


def main(arguments: Sequence[str]) -> int:
    """Print the table and return the exit code."""
    from mritk_dicom.collection import find_series

    path, given = "".join(arguments[:1]), dict[str, str]()
    while found := OPTION.search(path):
        given |= {name: value for name, value in found.groupdict().items() if value}
        path = path[: found.start()]
    if len(arguments) != 1 or not Path(path).is_dir():
        print(
            "usage: python -m mritk_dicom PATH[,classes=A/B][,patient=folder|none]", file=sys.stderr
        )
        return 2
    try:
        classes = named_classes(given.get("classes", ""))
        rule = cast(PatientRule, given.get("patient", "id"))
        series = find_series(Path(path), rule, classes)
    except MritkError as error:
        print(f"mritk: {error}", file=sys.stderr)
        return error.exit_code
    print(*COLUMNS, sep="\t")
    for named in series:
        one = named.series
        row = (named.id, one.label, one.patient, len(one.slices), one.folder)
        print(*row, sep="\t")
    return 0


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):  # folders whose names are not UTF-8, as they are
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # as by ``| head``: nobody wants the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes as it exits
        code = 0
    sys.exit(code)
