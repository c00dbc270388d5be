"""Who raised: the place in a plugin from which an exception came."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import mritk

CORE = str(Path(mritk.__file__).parent)
MACHINERY = ("<frozen ", "<string>", "/pluggy/", "/importlib/")


def place_of(error: BaseException, home: str = "") -> str:
    """Return ``FILE line N`` of the innermost frame in a file or folder; empty if there is none.

    Without ``home``, any frame outside mritk will do.
    """
    frames = traceback.extract_tb(error.__traceback__)
    outside = [f for f in frames if not _is_core(f.filename) and f.filename.startswith(home)]
    return f"{Path(outside[-1].filename).name} line {outside[-1].lineno}" if outside else ""


def home_of(function: Callable[..., object]) -> str:
    """Return the file of a function's module, or the folder of its package; empty for mritk's."""
    function = getattr(function, "func", function)  # of functools.partial
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    package = sys.modules.get(module.__name__.partition(".")[0]) if module else None
    file = str(getattr(package or module, "__file__", "") or "")
    return file.removesuffix("__init__.py") if not file.startswith(CORE) else ""


def _is_core(file: str) -> bool:
    return file.startswith(CORE) or any(part in file for part in MACHINERY)
