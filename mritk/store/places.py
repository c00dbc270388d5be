"""Where trial files stand in a results folder: side by side, in sub-folders once there are many.

    trials/ID.h5       as long as these are fewer than FLAT
    trials/AB/ID.h5    further ones, by the first two characters of the id

A trial file never moves: a folder of any size with all files side by side is read and continued.
Of two files of one trial, one in each place, that in ``trials`` itself counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from mritk.errors import Unavailable
from mritk.files.results_names import ENDING, SUBFOLDER, TRIALS

# A listing of a thousand files is fast on every drive, and short enough for a person.
FLAT = 1000


def trial_place(folder: Path, trial_id: str) -> Path:
    """Return where the file of a trial stands, or will stand if there is none."""
    flat = folder / TRIALS / f"{trial_id}{ENDING}"
    if os.path.lexists(flat):
        return flat
    inner = flat.parent / trial_id[:2] / flat.name
    return inner if os.path.lexists(inner) or _is_full(flat.parent) else flat


def trial_paths(folder: Path) -> dict[str, str]:
    """Return the path of each trial file, whatever its state, by its name without ending.

    They are sorted by name; hidden files, such as ``._ID.h5`` of macOS, are none. Paths are texts,
    since a ``Path`` for each of 100,000 takes its time.
    """
    found: dict[str, str] = {}
    for entry, is_in_place in entries(folder):
        if is_in_place and entry.name.endswith(ENDING) and not entry.name.startswith("."):
            found.setdefault(entry.name[: -len(ENDING)], entry.path)
    return dict(sorted(found.items()))


def entries(folder: Path) -> Iterator[tuple[os.DirEntry[str], bool]]:
    """Yield all that stands where trial files do, those in ``trials`` itself first.

    Each with whether it is in its place: nobody looks for a file in the sub-folder of other trials.
    """
    subfolders = []
    for entry in _listed(folder / TRIALS):
        if SUBFOLDER.fullmatch(entry.name) and entry.is_dir():
            subfolders.append(entry)
        else:
            yield entry, True
    for subfolder in subfolders:
        for entry in _listed(subfolder.path):
            yield entry, entry.name.removesuffix(ENDING)[:2] == subfolder.name


def _is_full(trials: Path) -> bool:
    """Tell whether ``trials`` holds so many files that further ones go to sub-folders."""
    try:
        changed = trials.stat().st_mtime_ns
    except OSError:  # the listing says whether it is not there or cannot be read
        changed = 0
    seen = str(trials), changed, FLAT
    if _full.get(seen[0]) == seen:  # a plan asks for the place of each trial
        return True
    if len(_listed(trials, ENDING, most=FLAT)) < FLAT:
        return False
    _full[seen[0]] = seen
    return True


# Folders that were found full, as they stood when they last changed.
_full: dict[str, tuple[str, int, int]] = {}


def _listed(
    folder: str | Path, ending: str = "", most: int | None = None
) -> list[os.DirEntry[str]]:
    """Return the entries of a folder; none if it is not there.

    Raises:
        Unavailable: It cannot be listed now. Nothing is known of its trials then, and an empty
            list would have them trained again.
    """
    try:
        with os.scandir(folder) as found:
            return list(islice((entry for entry in found if entry.name.endswith(ending)), most))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise Unavailable(
            f"cannot list {folder}: {error.strerror or error}; its trials may be intact; repeat "
            "the command once it is accessible"
        ) from error
