"""``mritk verify``: check that a trial file is what mritk wrote, and recompute its numbers."""

from __future__ import annotations

import click


@click.command()
@click.argument("trial")
def verify(trial: str) -> int:
    """Check that a trial file is what mritk wrote, and recompute its numbers."""
    raise NotImplementedError
