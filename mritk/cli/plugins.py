"""``mritk plugins``: which plugins are loaded, which failed, and why."""

from __future__ import annotations

import json

import click

from mritk.cli.app import App, json_option, pass_app, plugin_option


@click.command(short_help="List plugins, their hooks, and why one failed.")
@json_option
@plugin_option
@pass_app
def plugins(app: App, as_json: bool) -> None:
    """List plugins: where they come from, their hooks, and why one failed to load."""
    rows = [
        {
            "plugin": plugin.origin.plugin,
            "distribution": plugin.origin.distribution,
            "version": plugin.origin.version,
            "hooks": [hook.removeprefix("mritk_") for hook in plugin.hooks],
            "records": len(plugin.records),
            "error": plugin.error,
        }
        for plugin in app.registry.plugins
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    from tabulate import tabulate

    table = [
        [
            row["plugin"],
            f"{row['distribution']} {row['version']}".strip(),
            f"failed: {row['error']}" if row["error"] else "loaded",
            ", ".join(row["hooks"]),  # type: ignore[arg-type]
        ]
        for row in rows
    ]
    click.echo(tabulate(table, ["plugin", "from", "state", "hooks"]))
