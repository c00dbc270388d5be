"""``mritk report``: write one self-contained HTML file about a results folder."""

from __future__ import annotations

import click


@click.command()
@click.argument("results")
def report(results: str) -> int:
    """Write one self-contained HTML file about a results folder."""
    raise NotImplementedError
