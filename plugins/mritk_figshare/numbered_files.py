"""Find the numbered files of the set, however its four zip files were unpacked."""

from __future__ import annotations

import re
from pathlib import Path

from mritk import DataError, list_tree

NUMBERED = re.compile(r"([1-9][0-9]*)\.mat", re.IGNORECASE)
FOLDS_FILE = "cvind.mat"


def find_numbered_files(folder: Path) -> tuple[dict[int, Path], list[Path]]:
    """Return ``1.mat``, ``2.mat``, … under ``folder`` by number, in order, and every ``cvind.mat``.

    They may lie at any depth. Hidden files and folders are left aside, and so is whatever does not
    end in ``.mat``.

    Raises:
        DataError: There are none, a number is there twice, or a ``.mat`` file has another name;
            a folder cannot be listed.
    """
    slices: dict[int, Path] = {}
    folds, strangers = [], []
    for path in sorted(path for tree in list_tree(folder).walk() for path in tree.files):
        if path.suffix.lower() != ".mat" or path.name.startswith("."):
            continue
        match = NUMBERED.fullmatch(path.name)
        if match:
            other = slices.setdefault(int(match[1]), path)
            if other != path:
                one, two = (p.relative_to(folder).as_posix() for p in (other, path))
                raise DataError(
                    f"{folder} contains number {match[1]} twice, as {one} and {two}; keep one of "
                    "them"
                )
        elif path.name.lower() == FOLDS_FILE:
            folds.append(path)
        else:
            strangers.append(path.relative_to(folder).as_posix())
    if strangers:
        raise DataError(
            f"{folder} contains {', '.join(strangers[:3])}, which is neither a numbered file such "
            f"as 1.mat nor {FOLDS_FILE}; rename it, or move it elsewhere"
        )
    if not slices:
        raise DataError(
            f"no numbered files in {folder}; expected 1.mat, 2.mat, … there or in its subfolders, "
            "as in the zip files brainTumorDataPublic_*.zip"
        )
    return dict(sorted(slices.items())), folds
