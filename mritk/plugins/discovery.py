"""Find and load plugins, one by one, so that a broken one never stops the others.

Sources, in this order: the entry-point group ``mritk`` (unless
``MRITK_DISABLE_PLUGIN_AUTOLOAD`` is set), the comma-separated modules in ``MRITK_PLUGINS``, and
``-p`` options. ``-p no:NAME`` is read before anything is loaded. It leaves out one plugin: the
installed one of that name, else the installed one of that module, else what is asked for by name.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.machinery import SourceFileLoader
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import CodeType, ModuleType

from mritk.errors import Unavailable, UnknownName
from mritk.files.user_path import user_path
from mritk.files.workspace import TRUE_WORDS
from mritk.records import FILE_DIGEST, Origin

GROUP = "mritk"
BLOCK = "no:"
NO_AUTOLOAD = "MRITK_DISABLE_PLUGIN_AUTOLOAD"


@dataclass(frozen=True)
class Candidate:
    """A plugin that may be loaded.

    Attributes:
        origin: Its name and where it comes from.
        load: Module name, entry point or path of a file.
        requested: True if a person asked for it by name; it must then not fail silently.
        asked: What ``-p`` takes to load it.
    """

    origin: Origin
    load: EntryPoint | str | Path
    requested: bool = False
    asked: str = ""

    def plugin(self) -> object:
        """Import the plugin: a module, or an instance of the class that an entry point names.

        A plugin that keeps state between moments is a class, so that each registry has its own.
        """
        if isinstance(self.load, str):
            return importlib.import_module(self.load)
        if isinstance(self.load, Path):
            return _import_file(self.load)
        # Not asked for its class: importlib_metadata, once imported, puts its own in place of
        # the standard library's.
        loaded = self.load.load()
        return loaded() if isinstance(loaded, type) else loaded


@dataclass(frozen=True)
class Selection:
    """Which plugins a person wants.

    Attributes:
        requested: What ``-p`` and ``MRITK_PLUGINS`` name, without the ``no:`` ones.
        blocked: Names behind ``no:``.
        checked: Those of them that ``-p`` gave, where a name that nothing has is a slip of the pen;
            an environment may speak of plugins that are not on this machine.
        autoload: Whether installed plugins are loaded.
        strict: Whether a plugin that fails is an error.
    """

    requested: tuple[str, ...] = ()
    blocked: frozenset[str] = frozenset()
    checked: frozenset[str] = frozenset()
    autoload: bool = True
    strict: bool = False

    @classmethod
    def from_options(cls, options: Sequence[str], environ: Mapping[str, str]) -> Selection:
        """Combine ``-p`` options with the environment."""
        listed = [name.strip() for name in environ.get("MRITK_PLUGINS", "").split(",")]
        names = [name for name in (*listed, *options) if name]
        asked: dict[Path | str, str] = {}
        for name in names:
            if not name.startswith(BLOCK):  # of two spellings of one file, the first counts
                asked.setdefault(_file_of(name) or name, name)
        return cls(
            requested=tuple(asked.values()),
            blocked=_blocked(names),
            checked=_blocked(options),
            autoload=not _is_set(environ, NO_AUTOLOAD),
            strict=_is_set(environ, "MRITK_STRICT_PLUGINS"),
        )

    def left_out(self) -> Iterator[tuple[Origin, str]]:
        """Yield every installed plugin that is not loaded, with the reason."""
        for point in self._installed:
            if name := self._blocks(point):
                yield _from_entry_point(point).origin, f"-p {BLOCK}{name}"
            elif not self.autoload and not {point.name, point.module} & set(self.requested):
                yield _from_entry_point(point).origin, f"{NO_AUTOLOAD} is set"

    def candidates(self) -> Iterator[Candidate]:
        """Yield every plugin to load: installed ones in order of name, then requested ones.

        Raises:
            Unavailable: A requested file or module does not exist.
            UnknownName: No plugin has a name behind ``-p no:``.
        """
        installed = self._installed
        left_out = {name for point in installed if (name := self._blocks(point))}
        if self.autoload:
            yield from (_from_entry_point(point) for point in installed if not self._blocks(point))
        for name in self.requested:
            point = next((p for p in installed if name in (p.name, p.module)), None)
            if point is not None:
                if not self.autoload and not self._blocks(point):
                    yield _from_entry_point(point, requested=True)
                continue
            file = _file_of(name)
            plugin = file.stem if file else name
            if plugin in self.blocked - left_out:
                left_out.add(plugin)
            else:
                yield _from_file(name, file) if file else _from_module(name, installed)
        for name in sorted(self.checked - left_out):
            several = [point.name for point in installed if point.module == name]
            if several:
                each = " or ".join(f"{BLOCK}{one}" for one in several)
                raise UnknownName(f"-p {BLOCK}{name}: several plugins are of that module; {each}")
            near = _near(name, installed)
            raise UnknownName(f"-p {BLOCK}{name} has no effect: no plugin has that name{near}")

    @cached_property
    def _installed(self) -> list[EntryPoint]:
        # To find them, the metadata of all distributions are read.
        return sorted(entry_points(group=GROUP))

    def _blocks(self, point: EntryPoint) -> str:
        """Return the name behind ``no:`` that leaves an installed plugin out, or nothing."""
        if point.name in self.blocked:
            return point.name
        if point.module not in self.blocked:
            return ""
        # A name that would leave out two leaves out none: it is refused.
        meant = [p for p in self._installed if point.module in (p.name, p.module)]
        return point.module if len(meant) == 1 else ""


def _file_of(name: str) -> Path | None:
    """Return the file that ``-p`` means by a path, whichever way it is spelt; None for a module."""
    is_path = name.endswith(".py") or "/" in name
    return user_path(name).resolve() if is_path else None


def _blocked(names: Sequence[str]) -> frozenset[str]:
    return frozenset(name.removeprefix(BLOCK) for name in names if name.startswith(BLOCK))


def _near(name: str, installed: Sequence[EntryPoint]) -> str:
    """Return the installed plugins that a person may have meant, and where all of them stand."""
    import difflib

    known = dict.fromkeys(n for point in installed for n in (point.name, point.module))
    near = difflib.get_close_matches(name, known, 2, 0.6)
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"{meant} ('mritk plugins' lists them)"


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() in TRUE_WORDS


def _from_entry_point(point: EntryPoint, *, requested: bool = False) -> Candidate:
    distribution, version = _name_and_version(point.dist) if point.dist else ("", "")
    return Candidate(Origin(point.name, distribution, version), point, requested, point.name)


@lru_cache(maxsize=32)  # each look parses all metadata, and one distribution has many plugins
def _name_and_version(distribution: Distribution) -> tuple[str, str]:
    found = distribution.metadata
    return found["Name"], found["Version"]


def _from_module(name: str, installed: Sequence[EntryPoint]) -> Candidate:
    top = name.partition(".")[0]
    if top not in sys.modules and importlib.util.find_spec(top) is None:
        # Nobody is told to install what has this name: it may be anybody's.
        file = f"; the file here is -p ./{name}.py" if Path(f"{name}.py").is_file() else ""
        raise Unavailable(
            f"-p {name}: no plugin or module of that name{file or _near(name, installed)}"
        )
    return Candidate(Origin(name), name, requested=True, asked=name)


def _from_file(name: str, path: Path) -> Candidate:
    from mritk.files.digests import sha256_of

    if not path.is_file():
        raise Unavailable(f"no plugin file {name}; -p takes a module or the path of a .py file")
    # The digest stands in for a version: it says which state of the file made a result.
    digest = sha256_of(path)[:12]
    origin = Origin(path.stem, path.name, f"{FILE_DIGEST}{digest}")
    return Candidate(origin, path, requested=True, asked=str(path))


class _FromSource(SourceFileLoader):
    """Runs the text that the file has now.

    Bytecode is told by size and second of its source: after a quick edit it would be that of
    another text than the one whose digest names the plugin.
    """

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _import_file(path: Path) -> ModuleType:
    import hashlib

    name = f"mritk_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_FromSource(name, str(path)))
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look the module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
