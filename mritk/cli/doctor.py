"""``mritk doctor``: open every file of a results folder and say what is wrong."""

from __future__ import annotations

import click


@click.command()
@click.argument("results")
def doctor(results: str) -> int:
    """Open every file of a results folder and say what is wrong."""
    raise NotImplementedError
