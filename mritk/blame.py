"""Who raised: the place in a plugin from which an exception came."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

import mritk

CORE = str(Path(mritk.__file__).parent)
MACHINERY = ("<frozen ", "<string>", "/pluggy/", "/importlib/")


def place_of(error: BaseException) -> str:
    """Return ``FILE line N`` of the innermost frame outside mritk; empty if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [f for f in frames if not _is_core(f.filename)]
    return f"{Path(outside[-1].filename).name} line {outside[-1].lineno}" if outside else ""


def raised_in(error: BaseException, functions: Iterable[Callable[..., object]]) -> bool:
    """Whether the exception passed through the file or package of one of the functions."""
    homes = {_home(function) for function in functions} - {""}
    frames = traceback.extract_tb(error.__traceback__)
    return any(frame.filename.startswith(home) for frame in frames for home in homes)


def _home(function: Callable[..., object]) -> str:
    """The file of a function's module, or the folder of its package."""
    import sys

    function = getattr(function, "func", function)  # of functools.partial
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    package = sys.modules.get(module.__name__.partition(".")[0]) if module else None
    file = str(getattr(package or module, "__file__", "") or "")
    return file.removesuffix("__init__.py") if not file.startswith(CORE) else ""


def _is_core(file: str) -> bool:
    return file.startswith(CORE) or any(part in file for part in MACHINERY)
