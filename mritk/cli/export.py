"""``mritk export``: export the trained network of a trial."""

from __future__ import annotations

import click


@click.command()
@click.argument("trial")
def export(trial: str) -> int:
    """Export the trained network of a trial."""
    raise NotImplementedError
