"""What became of a plugin, and how that is told to a person: the plugin, the place, the remedy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import mritk
from mritk.errors import one_line
from mritk.files.remedy import refusal_of_disk
from mritk.records import Origin, Record

CORE = str(Path(mritk.__file__).parent)
MACHINERY = ("<frozen ", "<string>", "/pluggy/", "/importlib/")


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin that was loaded, that failed, or that was left out.

    Attributes:
        origin: Its name and where it comes from.
        hooks: The hooks that it implements.
        records: What it provides.
        error: Why it failed, beginning with the step (``import`` or a hook).
        left_out: Why it was not to be loaded.
        asked: What ``-p`` takes to load it; empty if it came in another way.
    """

    origin: Origin
    hooks: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()
    error: str = ""
    left_out: str = ""
    asked: str = ""

    @property
    def state(self) -> Literal["loaded", "failed", "left out"]:
        """What became of it."""
        if self.error:
            return "failed"
        return "left out" if self.left_out else "loaded"


def explain_failure(plugin: LoadedPlugin) -> str:
    """Return one line that says which plugin failed, why, and how to continue without it."""
    name, distribution = plugin.origin.plugin, plugin.origin.distribution
    remedy = f"'-p no:{name}' runs without it"
    if plugin.origin.is_installed and plugin.error.startswith(ModuleNotFoundError.__name__):
        remedy += f", 'python -m pip install {distribution}' installs its requirements"
    if plugin.origin.is_installed:
        remedy += f", 'python -m pip uninstall {distribution}' removes it"
    return f"plugin {plugin.origin} failed to load: {plugin.error}; {remedy}"


def reason_of(error: BaseException, step: str) -> str:
    """Return one line: what was raised, at which step and line."""
    place = place_of(error)
    text = refusal_of_disk(error, "a file") or f"{type(error).__name__}: {error}"
    return one_line(f"{text} ({step}{f', {place}' if place else ''})")


def place_of(error: BaseException, home: str = "") -> str:
    """Return ``FILE line N`` of the innermost frame in a file or folder; empty if there is none.

    Without ``home``, any frame outside mritk will do.
    """
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    outside = [f for f in frames if not _is_core(f.filename) and f.filename.startswith(home)]
    return f"{Path(outside[-1].filename).name} line {outside[-1].lineno}" if outside else ""


def place_of_function(function: Callable[..., object]) -> str:
    """Return ``FILE line N`` of a function; empty for what has no lines."""
    code = getattr(function, "__code__", None)
    return f"{Path(code.co_filename).name} line {code.co_firstlineno}" if code else ""


def home_of(function: Callable[..., object]) -> str:
    """Return the file of a function's module, or the folder of its package; empty for mritk's."""
    from mritk.files.code_state import source_file

    file = str(source_file(function) or "")
    return file.removesuffix("__init__.py") if not file.startswith(CORE) else ""


def check_command(name: str, origin: Origin, function: Callable[..., object]) -> str:
    """Return what checks a record, as it is typed: the plugin of a file or module is named too."""
    from shlex import quote

    loading = ""
    if not origin.is_installed:
        named = home_of(function) if origin.digest else origin.plugin
        with suppress(ValueError):
            named = f"./{Path(named).relative_to(Path.cwd())}"
        loading = f"-p {quote(named)} "
    return f"mritk plugins check {loading}{quote(name)}"


def _is_core(file: str) -> bool:
    return file.startswith(CORE) or any(part in file for part in MACHINERY)
