"""``mritk plugins``: which plugins there are, what is wrong with one, and how to begin one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mritk.cli.app import App, json_option, pass_app, plugin_option
from mritk.cli.plugins_check import check
from mritk.cli.plugins_new import new
from mritk.cli.tell import echo, echo_json

if TYPE_CHECKING:
    from mritk.plugins.loaded import LoadedPlugin


@click.group(invoke_without_command=True)
@json_option
@plugin_option
@pass_app
@click.pass_context
def plugins(context: click.Context, app: App, as_json: bool) -> None:
    """List plugins: their origin, what they provide, and why others were not loaded.

    MRITK_TRACE_PLUGINS=1 prints every hook call, with arguments and duration.
    """
    if context.invoked_subcommand is not None:
        return
    registry = app.registry
    rows = [_row(plugin) for plugin in (*registry.plugins, *registry.left_out)]
    if as_json:
        echo_json(rows)
        return
    from tabulate import tabulate

    table = [
        [
            row["plugin"],
            f"{row['distribution']} {row['version']}".strip(),
            row["state"],
            ", ".join(row["hooks"]),
            ", ".join(f"{count} {what}" for what, count in row["contributions"].items()),
        ]
        for row in rows
    ]
    echo(tabulate(table, ["plugin", "from", "state", "hooks", "provides"]))
    for row in rows:
        if row["reason"]:
            echo(f"{row['plugin']} {row['state']}: {row['reason']}")


def _row(plugin: LoadedPlugin) -> dict[str, Any]:
    from mritk.plugins.loading import name_of

    kinds = [type(record).__name__.lower() for record in plugin.records]
    return {
        "plugin": plugin.origin.plugin,
        "distribution": plugin.origin.distribution,
        "version": plugin.origin.version,
        "state": plugin.state,
        "reason": plugin.error or plugin.left_out,
        "hooks": [hook.removeprefix("mritk_") for hook in plugin.hooks],
        "contributions": {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)},
        "records": [
            {"kind": kind, "name": name_of(record)}
            for kind, record in zip(kinds, plugin.records, strict=True)
        ],
    }


plugins.add_command(check)
plugins.add_command(new)
