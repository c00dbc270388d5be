"""What became of a plugin: loaded, failed or left out, and how that is told to a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mritk.plugins.blame import place_of
from mritk.records import Origin, Record


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
    """Return one line that says which plugin failed, why, and how to go on without it."""
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
    text = f"{type(error).__name__}: {error} ({step}{f', {place}' if place else ''})"
    return " ".join(text.split())
