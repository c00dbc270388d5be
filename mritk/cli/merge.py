"""``mritk merge``: copy the trials of several results folders into one."""

from __future__ import annotations

import click


@click.command()
@click.argument("sources")
def merge(sources: str) -> int:
    """Copy the trials of several results folders into one."""
    raise NotImplementedError
