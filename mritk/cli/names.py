"""Parameter types for names that plugins provide, with shell completion."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from mritk.cli.app import App, Option

# What is also read from a file of one's own.
IN_FILES = ("protocol", "benchmark")


class PluginName(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """A name of something that plugins provide, by its noun: ``backbone``, ``dataset``, …

    It is looked up by the command, not here: an unknown name must be explained with all that the
    registry knows.
    """

    def __init__(self, noun: str) -> None:
        self.name = noun

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the known names that begin so; families end in a colon."""
        try:
            names = list(self._names(ctx.ensure_object(App)))
        except Exception:
            return []  # completion must never print a traceback into a person's prompt
        found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        if not found and self.name in IN_FILES:
            return [CompletionItem(incomplete, type="file")]
        return found

    def _names(self, app: App) -> Iterable[str]:
        from mritk.plugins.loading import NOUNS, name_of
        from mritk.records import BackboneFamily, Family

        registry, kinds = app.registry, NOUNS[f"{self.name}s"]
        if self.name == "backbone":
            yield from registry.backbone_names()
            kinds = (BackboneFamily,)
        for kind in kinds:
            for record in registry.records(kind):
                yield record.opening if isinstance(record, Family) else name_of(record)


def names_option(noun: str, help_text: str, *, metavar: str = "NAME") -> Option:
    """Return ``--NOUN``, by its first letter too, which may be repeated and becomes ``NOUNs``."""
    return click.option(
        *() if noun == "protocol" else (f"-{noun[0]}",),  # -p loads a plugin
        f"--{noun}",
        f"{noun}s",
        multiple=True,
        type=PluginName(noun),
        metavar="ARCH[@WEIGHTS]" if noun == "backbone" else metavar,
        help=help_text,
    )
