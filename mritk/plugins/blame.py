"""Who raised: the place in a plugin from which an exception came."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shlex import quote

import mritk
from mritk.records import Origin

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


def check_command(name: str, origin: Origin, function: Callable[..., object]) -> str:
    """Return what checks a record, as it is typed: the plugin of a file or module is named too."""
    loading = ""
    if not origin.is_installed:
        named = home_of(function) if origin.digest else origin.plugin
        with suppress(ValueError):
            named = f"./{Path(named).relative_to(Path.cwd())}"
        loading = f"-p {quote(named)} "
    return f"mritk plugins check {loading}{quote(name)}"


def _is_core(file: str) -> bool:
    return file.startswith(CORE) or any(part in file for part in MACHINERY)
