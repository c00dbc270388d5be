"""``mritk compare``: compare two results folders; fail on evidence of a regression."""

from __future__ import annotations

import click


@click.command()
@click.argument("base")
def compare(base: str) -> int:
    """Compare two results folders; fail on evidence of a regression."""
    raise NotImplementedError
