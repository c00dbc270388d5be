"""Whether a plugin was written for the hooks that this mritk has."""

from __future__ import annotations

import re

from mritk.errors import HookError
from mritk.plugins.hookspecs import INTERFACE

VERSION = re.compile(r"(\d+)\.(\d+)")


def require_interface(wanted: object) -> None:
    """Refuse a plugin for other hooks before it fails in a way that nobody understands.

    Args:
        wanted: What the plugin says as ``MRITK_INTERFACE``, such as ``"1.0"``: the least version
            that it needs. None: it says nothing, and is tried.

    Raises:
        HookError: It needs a newer minor version, or another major one; or the text is no version.
    """
    if wanted is None:
        return
    found = VERSION.fullmatch(wanted) if isinstance(wanted, str) else None
    if found is None:
        raise HookError(f"MRITK_INTERFACE is {wanted!r}; write it as '{_text(INTERFACE)}'")
    major, minor = int(found[1]), int(found[2])
    if (major, minor) > INTERFACE:
        remedy = "'python -m pip install --upgrade mritk-bench' may help"
    elif major < INTERFACE[0]:
        remedy = "update the plugin, or ask its author"
    else:
        return
    raise HookError(f"it requires hooks {wanted}, but this mritk has {_text(INTERFACE)}; {remedy}")


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
