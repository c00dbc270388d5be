"""``mritk plot``: draw one figure of the report."""

from __future__ import annotations

import click


@click.command()
@click.argument("kind")
def plot(kind: str) -> int:
    """Draw one figure of the report."""
    raise NotImplementedError
