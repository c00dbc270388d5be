"""The commands ``mritk cluster slurm`` and ``mritk cluster kuberay``.

They print what starts Ray on the machines of a cluster and trains a benchmark there: a job script,
a manifest. Nothing is submitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mritk import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def mritk_commands(cli: click.Group) -> None:
    """Add the commands."""
    from mritk_cluster.commands import cluster

    cli.add_command(cluster)
