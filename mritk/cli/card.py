"""``mritk card``: write a model card."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
def card(name: str) -> int:
    """Write a model card."""
    raise NotImplementedError
