"""The files of a program: those that its command names, and the modules beside its scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mritk.files.digests import sha256_of


def file_digests(paths: Sequence[Path]) -> dict[str, str]:
    """Return the SHA-256 of files and of what their scripts can import from their folders.

    Names are relative to the folder of the file that the command names, so that a program may be
    moved; of files in several folders with one name, later ones are numbered.

    Raises:
        OSError: One cannot be read.
    """
    found: dict[str, str] = {}
    seen: set[Path] = set()
    for path in paths:
        for file in (path, *_modules_beside(path)):
            if file in seen:
                continue
            seen.add(file)
            name = file.relative_to(path.parent).as_posix()
            number, key = 1, name
            while key in found:
                number += 1
                key = f"{name} ({number})"
            found[key] = sha256_of(file)
    return found


def _modules_beside(script: Path) -> Iterator[Path]:
    """Yield the modules and packages in the folder of a script in Python, in order of name."""
    if script.suffix == ".py":
        yield from _modules_in(script.parent)


def _modules_in(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.suffix == ".py" and path.is_file():
            yield path
        elif (path / "__init__.py").is_file() and not path.is_symlink():
            yield from _modules_in(path)
