"""Read what a package ships beside its code."""

from __future__ import annotations

from importlib.resources import files


def packaged_text(package: str, *path: str) -> str:
    """Return the text, UTF-8, of a file in an installed package.

    For the ``text`` of a :class:`mritk.ProtocolFile`, with :func:`functools.partial`.

    Args:
        package: Name of the package, usually ``__package__``.
        path: Names of folders below it, and of the file.
    """
    return files(package).joinpath(*path).read_text(encoding="utf-8")
