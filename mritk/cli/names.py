"""Parameter types for names that plugins provide, with shell completion."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from mritk.cli.app import App


class PluginName(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """A name of a backbone, dataset, augmentation or protocol.

    It is looked up by the command, not here: an unknown name must be explained with all that the
    registry knows.
    """

    def __init__(self, noun: str) -> None:
        self.name = noun
        self.noun = noun

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the known names that begin so; families end in a colon."""
        try:
            names = list(self._names(ctx.ensure_object(App)))
        except Exception:
            return []  # completion must never print a traceback into a person's prompt
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]

    def _names(self, app: App) -> Iterable[str]:
        from mritk import records

        registry = app.registry
        if self.noun == "backbone":
            yield from registry.backbone_names()
            yield from (f"{family.prefix}:" for family in registry.records(records.BackboneFamily))
        elif self.noun == "dataset":
            yield from (dataset.name for dataset in registry.records(records.Dataset))
            yield from (f"{family.prefix}:" for family in registry.records(records.DatasetFamily))
        elif self.noun == "augmentation":
            yield from (found.name for found in registry.records(records.Augmentation))
        elif self.noun == "executor":
            yield from (found.name for found in registry.records(records.Executor))
        elif self.noun == "protocol":
            yield from (found.name for found in registry.records(records.ProtocolFile))
