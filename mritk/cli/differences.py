"""``mritk differences``: print the differences between backbones, pair by pair."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mritk.cli.analysis_options import (
    analysis_options,
    as_analysis,
    asked_for,
    by_option,
    chosen,
    ensemble_option,
    rows_option,
    split_names,
    trials_options,
)
from mritk.cli.app import App, json_option, pass_app, plugin_option, results_argument
from mritk.cli.completed import complete_metric
from mritk.cli.tell import echo, echo_data, echo_json, say
from mritk.cli.terminal import format_option, require_one_style, style_and_width, wide_option
from mritk.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from mritk.evaluate.metric import Metric
    from mritk.results.table import Leaderboard, Table

# The same words as in mritk.compare.paired_tests, which is not imported here: it loads numpy.
TESTS = ("bootstrap", "mcnemar", "delong", "corrected_t", "bayes")
ROPE = 0.01


class Rope(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """A region of practical equivalence: ``0.01``, or ``1pt`` for a percentage point."""

    name = "number[pt]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, bool]:
        """Return half its width in the unit of the metric, and whether it was given in points."""
        text = str(value).strip()
        points = text.endswith("pt")
        try:
            number = float(text.removesuffix("pt")) / (100 if points else 1)
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf"):
            self.fail(f"{text!r} is not a width; use 0.01, or 1pt for a percentage point", param)
        return number, points


@click.command()
@results_argument
@click.option(
    "--metric",
    "metric",
    default="",
    metavar="NAME",
    shell_complete=complete_metric,
    help=(
        "Metric to compare. Default: the first metric of the task; accuracy for mcnemar, the "
        "AUROC of each class for delong."
    ),
)
@click.option(
    "--test",
    "test",
    type=click.Choice(TESTS),
    default=None,
    help=(
        "bootstrap (default) applies to all data; mcnemar and delong compare two trained models, "
        "corrected_t folds; bayes gives probabilities instead of p."
    ),
)
@click.option(
    "--rope",
    type=Rope(),
    metavar="NUMBER[pt]",
    default=None,
    help="For bayes: region of practical equivalence, 0.01 or 1pt. Default: 1pt.",
)
@click.option(
    "--across",
    type=click.Choice(["datasets"]),
    default=None,
    help="Compare across all datasets of a protocol: Friedman's test, or --test bayes.",
)
@click.option(
    "--baseline",
    default="",
    metavar="TEXT",
    help="Only pairs with the row that contains TEXT, and Holm's correction over these.",
)
@trials_options
@rows_option
@ensemble_option
@click.option(
    "--group-by",
    "groupings",
    metavar="NAME[,NAME…]",
    default="",
    help="One table per value, as in 'mritk leaderboard': seed, fold, augmentation, …",
)
@by_option
@format_option(["github", "plain", "csv", "json"])
@wide_option
@json_option
@analysis_options
@plugin_option
@pass_app
def differences(app: App, /, results: Path, **options: Any) -> int:
    """Print pairwise differences between backbones of RESULTS (default: ./mritk-results).

    Each pair has an interval, p, p after Holm's correction over all pairs shown, and a verdict. If
    a test is not applicable, the reason is printed and the exit code is 2.

    \b
    mritk differences --metric mcc
    mritk differences --protocol quick --baseline small_cnn
    mritk differences --test mcnemar --level patient
    mritk differences --test bayes --rope 1pt
    mritk differences --across datasets
    """
    require_one_style(options)
    board = _board(app, results, options)
    for message in board.damaged:
        say(f"mritk: not read: {message}")
    if not board.tables:
        say(f"mritk: {board.nothing_in(results, asked_for(options))}")
        return board.exit_code or ExitCode.NOTHING_TO_DO
    print_them = _print_across if options["across"] else _print_pairs
    return print_them(board, options) or board.exit_code


def _board(app: App, results: Path, options: dict[str, Any]) -> Leaderboard:
    """Return the leaderboard with the one metric that is compared, resampled if need be.

    Raises:
        UsageError: Options that do not go together.
    """
    from dataclasses import replace

    from mritk.compare.paired_tests import TESTS as ALL
    from mritk.evaluate.classification import SHOWN as OF_CLASSES
    from mritk.evaluate.metrics import all_metrics, of_any_region
    from mritk.evaluate.regression import SHOWN as OF_VALUES
    from mritk.evaluate.segmentation import SEGMENTATION as OF_LABEL_MAPS
    from mritk.results.leaderboard import build_leaderboard
    from mritk.results.row_keys import all_but
    from mritk.results.trial_index import TrialIndex
    from mritk.store.folder import ResultsFolder

    name, metric = options["test"] or "bootstrap", options["metric"]
    if options["across"] and options["test"] not in (None, "bayes"):
        raise UsageError(f"--test {name} is not a test across datasets; remove it, or use bayes")
    if options["across"] and options["baseline"]:
        raise UsageError("Nemenyi's test is over all pairs; remove --baseline")
    if options["across"] and options["ensembles"]:
        raise UsageError("ensembles are not compared across datasets; remove --ensemble")
    if options["rope"] is not None and name != "bayes":
        raise UsageError("--rope requires --test bayes; add it, or remove --rope")
    test = ALL[name]
    if test.metric and metric not in ("", test.metric):
        raise UsageError(f"--test {name} compares {test.metric}; remove --metric {metric}")
    analysis = as_analysis(app, options, by=options["by"])
    if options["across"] or not test.resamples:
        analysis = replace(analysis, interval="none")
    elif analysis.interval == "none":
        raise UsageError("--interval none allows no test; remove it")
    metric = metric or test.metric
    metrics = [metric] if metric else [OF_CLASSES[0].name, OF_VALUES[0].name, OF_LABEL_MAPS[0].name]
    # Over datasets, rows of one protocol are compared.
    rows = split_names(options["rows"]) or (
        ["backbone", "augmentation"] if options["across"] else []
    )
    # The bootstrap's are kept with the tables, and over datasets the means will do if all are of
    # the same cases.
    held = bool(analysis.ensembles or analysis.by) or not (options["across"] or name == "bootstrap")
    compared = all_metrics(analysis.extra_metrics).get(of_any_region(metric))
    held = held or bool(options["across"] and compared and compared.left_out)
    wanted = chosen(options)
    with TrialIndex(ResultsFolder(results), analysis, metrics, wanted, held=held) as index:
        return build_leaderboard(
            index.trials(),
            metrics=metrics,
            group_by=[*all_but(rows), *split_names(options["groupings"])],
            analysis=analysis,
            kept=index,
        )


def _rope(metric: Metric, options: dict[str, Any]) -> float:
    """Return half the width of the region of practical equivalence.

    Raises:
        UsageError: None was given, or one in points, and the metric has a unit of its own.
    """
    from math import isfinite

    if options["rope"] is None:
        if all(map(isfinite, metric.bounds)):
            return ROPE
        why = "has no default region of practical equivalence"
    else:
        width, in_points = options["rope"]
        if not in_points or isfinite(metric.bounds[1]):
            return float(width)
        why = "has no largest value, so it has no percentage points"
    raise UsageError(
        f"{metric.label} {why}; specify the region in the metric's unit, with --rope NUMBER"
    )


def _print_across(board: Leaderboard, options: dict[str, Any]) -> int:
    from mritk.compare.across_datasets import across_datasets
    from mritk.compare.differences_text import across_as_data, across_text, csv_of

    ropes = None
    if options["test"] == "bayes":
        metrics = [table.metrics[0] for table in board.tables]
        ropes = {metric.name: _rope(metric, options) for metric in metrics}
    found = across_datasets(board.tables, ropes)
    data = [across_as_data(one) for one in found]
    style, width = style_and_width(options)
    if style == "json":
        echo_json({"across": "datasets", "tables": data})
    elif style == "csv":
        echo_data(csv_of(data))
    else:
        echo("\n\n".join(across_text(one, style, width) for one in found))
    return ExitCode.OK


def _print_pairs(board: Leaderboard, options: dict[str, Any]) -> int:
    """Print every table that can be tested, and say of the others why not."""
    from mritk.compare.differences_text import csv_of, differences_as_data, differences_text

    found, refused = [], []
    for table in board.tables:
        try:
            found.append(_tested(table, options))
        except UsageError as error:
            refused.append(str(error))
    style, width = style_and_width(options)
    if style == "json":
        data = [differences_as_data(one) for one in found]
        echo_json({"tables": data, "refused": refused})
    elif found and style == "csv":
        echo_data(csv_of([differences_as_data(one) for one in found]))
    elif found:
        echo("\n\n".join(differences_text(one, style, width) for one in found))
    for message in refused:
        say(f"mritk: {message}")
    return ExitCode.USAGE if refused else ExitCode.OK


def _tested(table: Table, options: dict[str, Any]) -> Any:
    """Return the differences of a table.

    Raises:
        UsageError: The data do not allow the test.
    """
    from mritk.compare.differences_text import Differences
    from mritk.compare.paired_rows import PairedRows
    from mritk.compare.paired_tests import TESTS as ALL
    from mritk.compare.paired_tests import compare_all_pairs

    name, metric = options["test"] or "bootstrap", table.metrics[0]
    rope = _rope(metric, options) if name == "bayes" else 0.0
    lines = compare_all_pairs(PairedRows(table, metric, rope), ALL[name], options["baseline"])
    return Differences(table, name, metric, lines, rope)
