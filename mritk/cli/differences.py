"""``mritk differences``: print the differences between backbones, pair by pair."""

from __future__ import annotations

import click


@click.command()
@click.argument("results")
def differences(results: str) -> int:
    """Print the differences between backbones, pair by pair."""
    raise NotImplementedError
