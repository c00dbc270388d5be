"""``mritk rescore``: recompute all metrics from the stored predictions."""

from __future__ import annotations

import click


@click.command()
@click.argument("results")
def rescore(results: str) -> int:
    """Recompute all metrics from the stored predictions."""
    raise NotImplementedError
