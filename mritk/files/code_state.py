"""Which state of a plugin's code is at work: its source, and the libraries that it calls.

A cache that holds what code of a plugin computed is keyed by both. A version alone does not tell:
a plugin that somebody works on, or that is installed in editable form, keeps its own from edit to
edit.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from mritk.files.digests import sha256_of
from mritk.lazy_import import underlying

OWN_DISTRIBUTION = "mritk-bench"
# What only those who work on a distribution install.
FOR_DEVELOPERS = re.compile(r"extra\s*==\s*['\"](?:tests?|docs?|dev|lint)['\"]")


def source_digest(function: Callable[..., Any]) -> str:
    """Return the digest of the source files of the package (or file) that defines ``function``.

    Empty if it has none that can be found, as for code that was typed in.
    """
    file = source_file(function)
    return digest_of_sources(file) if file else ""


def source_file(function: Callable[..., Any]) -> Path | None:
    """Return the file of the package (or module) that defines ``function``, if it has one."""
    parts = (getattr(underlying(function), "__module__", None) or "").split(".")
    # A namespace package has no file; the first package below it does.
    modules = (sys.modules.get(".".join(parts[:n])) for n in range(1, len(parts) + 1))
    return next((Path(file) for m in modules if (file := getattr(m, "__file__", None))), None)


@lru_cache(maxsize=64)
def digest_of_sources(file: Path) -> str:
    """Return the digest of a source file; of all in its package, if it is an ``__init__.py``.

    Empty where there is no source, as in a zip file.
    """
    if not file.is_file():
        return ""
    sources = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    return ":".join(sha256_of(source)[:16] for source in sources)


@lru_cache(maxsize=64)
def library_versions(distribution: str) -> tuple[str, ...]:
    """Return names and versions of a plugin's distribution, of mritk, and of all they require.

    Args:
        distribution: Name of an installed distribution; empty, or that of none, for a plugin that
            is a module or a file.
    """
    names = {OWN_DISTRIBUTION, *([distribution] if distribution else [])}
    for name in tuple(names):
        with suppress(metadata.PackageNotFoundError):
            wanted = [w for w in metadata.requires(name) or () if not FOR_DEVELOPERS.search(w)]
            names.update(found[0] for w in wanted if (found := re.match(r"[A-Za-z0-9._-]+", w)))
    return versions(sorted(names))


def versions(distributions: Iterable[str]) -> tuple[str, ...]:
    """Return names and versions of those distributions that are installed."""
    found = []
    for name in distributions:
        with suppress(metadata.PackageNotFoundError):
            found.append(f"{name} {metadata.version(name)}")
    return tuple(found)
