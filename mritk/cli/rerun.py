"""``mritk rerun``: train a stored trial again and compare."""

from __future__ import annotations

import click


@click.command()
@click.argument("trial")
def rerun(trial: str) -> int:
    """Train a stored trial again and compare."""
    raise NotImplementedError
