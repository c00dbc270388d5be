"""``mritk plot``: one figure of the report as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mritk.cli.analysis_options import analysis_options, as_analysis
from mritk.cli.app import App, UserPath, pass_app, plugin_option, results_argument
from mritk.cli.completed import complete_metric
from mritk.cli.tell import say
from mritk.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mritk.results.table import Table
    from mritk.results.trial_facts import TrialFacts

# The same words as in mritk.report.figure_names, which would load matplotlib.
KINDS = ("forest", "differences", "learning", "roc", "pr", "confusion", "reliability", "cost")
CURVE = "curve"
# What these show is kept with the tables; the others draw predictions, and read the trials.
FROM_SCORES = ("differences", "cost", CURVE)


@click.command()
@click.argument("kind", type=click.Choice((*KINDS, CURVE)))
@results_argument
@click.option(
    "-o",
    "--output",
    type=UserPath(),
    metavar="FILE.(png|svg|pdf)",
    help="Default: KIND.png.",
)
@click.option(
    "--metric",
    default="",
    metavar="NAME",
    shell_complete=complete_metric,
    help="Metric to draw and to sort rows by.",
)
@click.option("--dataset", default="", metavar="TEXT", help="Table whose dataset contains TEXT.")
@click.option("--protocol", default="", metavar="TEXT", help="Table whose protocol contains TEXT.")
@click.option(
    "--over", default="", metavar="KEY", help=("For curve: the key; default: the one that differs.")
)
@click.option(
    "--backbone",
    "backbones",
    multiple=True,
    metavar="TEXT",
    help=("Only rows containing TEXT; repeatable."),
)
@click.option(
    "--dpi",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="PNG resolution (dots per inch).",
)
@analysis_options
@plugin_option
@pass_app
def plot(app: App, /, kind: str, results: Path, **options: Any) -> int:
    """Draw a single figure of the report: KIND of RESULTS (default: ./mritk-results).

    \b
    forest        scores with intervals        differences  between all pairs of rows
    learning      losses by epoch              roc, pr      curves, class by class
    confusion     confusion matrices           reliability  confidence and accuracy
    cost          score against parameters, FLOPs, time
    curve         score over a key varied by 'mritk run --vary'
    """
    from mritk.report.figure_names import KINDS as DRAW
    from mritk.report.figures.curve import curve
    from mritk.report.row_labels import labelled
    from mritk.report.style import save
    from mritk.results.leaderboard import build_leaderboard
    from mritk.results.trial_index import TrialIndex
    from mritk.store.folder import ResultsFolder

    if kind == "differences" and options["interval"] == "none":
        raise UsageError("--interval none computes no differences to draw; remove it")

    def wanted(trial: TrialFacts) -> bool:
        return (
            options["dataset"] in trial.dataset
            and options["protocol"] in trial.protocol
            and any(text in trial.backbone for text in options["backbones"] or ("",))
        )

    analysis, metric = as_analysis(app, options), options["metric"]
    held = kind not in FROM_SCORES
    with TrialIndex(ResultsFolder(results), analysis, [metric], wanted, held=held) as index:
        board = build_leaderboard(index.trials(), sort=metric, analysis=analysis, kept=index)
    for message in board.damaged:
        say(f"mritk: not read: {message}")
    tables = _finished(board.tables, results)
    if kind == CURVE:
        if len(metrics := {table.metrics[0].name for table in tables}) > 1:
            raise UsageError(
                f"tables have different metrics ({', '.join(sorted(metrics))}); select some with "
                "--dataset"
            )
        figure = curve(tables, tables[0].metrics[0], options["over"])
    else:
        table, shared = labelled(_only(tables, results))
        if shared:
            say(f"all rows: {shared}")
        figure = DRAW[kind].draw(table, table.metrics[0])
    output = options["output"] or Path(f"{kind}.png")
    save(figure, output, options["dpi"])
    say(f"{output}")
    return board.exit_code


def _finished(tables: Sequence[Table], results: Path) -> list[Table]:
    """Return the tables with finished trials.

    Raises:
        UsageError: There is none.
    """
    found = [table for table in tables if any(row.trials for row in table.rows)]
    if not found:
        raise UsageError(f"no such finished trial in {results}")
    return found


def _only(tables: Sequence[Table], results: Path) -> Table:
    """Return the one table that is meant.

    Raises:
        UsageError: There are several.
    """
    from mritk.results.formats import caption

    if len(tables) == 1:
        return tables[0]
    listed = "; ".join(caption(table) for table in tables)
    raise UsageError(
        f"{results} has {len(tables)} tables; select one with --dataset and --protocol: {listed}"
    )
