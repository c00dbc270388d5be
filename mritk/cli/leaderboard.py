"""``mritk leaderboard``: tables from the predictions in a results folder."""

from __future__ import annotations

from pathlib import Path

import click

from mritk.cli.app import plugin_option

# The same words as in mritk.results.formats, which is not imported here: it would load numpy.
FORMATS = ("github", "plain", "latex", "csv", "json", "html")


@click.command()
@click.argument("results", type=click.Path(path_type=Path), default=Path("mritk-results"))
@click.option(
    "--format",
    "style",
    type=click.Choice(FORMATS),
    default="github",
    show_default=True,
    help="How the tables are written.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="A column; the first one sorts. Repeat for more. Default: all ('mritk list metrics').",
)
@click.option(
    "--group-by",
    "groupings",
    metavar="NAME[,NAME…]",
    default="",
    help="One table for each value: dataset, protocol, backbone, augmentation, method, fold, seed. "
    "Different datasets and protocol fingerprints always stand apart.",
)
@plugin_option
def leaderboard(
    results: Path, style: str, as_json: bool, metrics: tuple[str, ...], groupings: str
) -> int:
    """Print the leaderboard of RESULTS (default: ./mritk-results).

    All numbers are computed anew from the predictions stored in the trial files.
    """
    from mritk.errors import ExitCode
    from mritk.results.folder import ResultsFolder
    from mritk.results.formats import format_leaderboard
    from mritk.results.leaderboard import build_leaderboard

    group_by = [name.strip() for name in groupings.split(",") if name.strip()]
    board = build_leaderboard(ResultsFolder(results).trials(), metrics=metrics, group_by=group_by)
    if not board.tables and not board.damaged:
        click.echo(f"mritk: there are no trials in {results}", err=True)
        return ExitCode.NOTHING_TO_DO
    click.echo(format_leaderboard(board, "json" if as_json else style))
    for message in board.damaged:
        click.echo(f"mritk: not read: {message}", err=True)
    return ExitCode.OK
