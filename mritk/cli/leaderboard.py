"""``mritk leaderboard``: tables from the predictions in a results folder."""

from __future__ import annotations

from functools import partial
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
    metrics_option,
    rows_option,
    sort_option,
    split_names,
    trials_options,
)
from mritk.cli.app import App, UserPath, pass_app, plugin_option, results_argument
from mritk.cli.completed import complete_column
from mritk.cli.paired_folders import paired_folders
from mritk.cli.tell import echo, echo_data, echo_json, say
from mritk.cli.terminal import format_option, require_one_style, style_and_width, wide_option
from mritk.errors import ExitCode, StoreError, UsageError
from mritk.text.listed import listed

if TYPE_CHECKING:
    from mritk.results.analysis import Analysis
    from mritk.results.table import Leaderboard
    from mritk.store.record import TrialRecord

# The same words as in mritk.results.formats, which is not imported here: it would load numpy.
FORMATS = ("github", "plain", "latex", "csv", "json", "html", "parquet")
# The format that the ending of a file means; files of tables end in one of the others, or nothing.
ENDINGS = {".tex": "latex", ".htm": "html", **{f".{name}": name for name in FORMATS[3:]}}
TABLES = (".md", ".txt", "")

# What has no meaning for the differences from another folder, by option.
NOT_WITH_DIFF = {
    "--ensemble": "ensembles",
    "--rows": "rows",
    "--group-by": "groupings",
    "--by": "by",
    "--groups": "groups",
    "--probe": "probe",
    "--sort": "sort",
    "--columns": "columns",
    "--output": "output",
    "--update": "update",
}


@click.command()
@results_argument
@format_option(FORMATS)
@wide_option
@click.option("--json", "as_json", is_flag=True, help="Same as --format json.")
@click.option(
    "-o",
    "--output",
    type=UserPath(),
    help=(
        "Output file. Without --format, its ending says the format: .csv, .json, .html, .tex, "
        ".parquet, or .md and .txt for Markdown."
    ),
)
@metrics_option(
    "Metric; the first one sorts. Repeatable. Default: the standard metrics of the task ('mritk "
    "list metrics' shows all)."
)
@sort_option
@click.option(
    "--columns",
    default="",
    metavar="NAME[,NAME…]",
    shell_complete=complete_column,
    help=(
        "Additional columns: sd (of runs), intervals (for all metrics), method, parameters, "
        "trained (parameters), flops, latency, train_speed, speed, hours, gpu_hours, energy, "
        "memory, trials. Default: sd,parameters,trials, and costs if rows differ in their "
        "protocol."
    ),
)
@rows_option
@ensemble_option
@click.option(
    "--group-by",
    "groupings",
    metavar="NAME[,NAME…]",
    default="",
    help=(
        "One table per value: dataset, protocol, backbone, augmentation, method, fold, seed. "
        "Other data, splits or preprocessing are always separate."
    ),
)
@trials_options
@by_option
@click.option(
    "--groups",
    multiple=True,
    metavar="COVARIATE",
    help=(
        "Also show the score of each group of test samples, the worst group and the gap: a "
        "covariate as in --by; of classes the recall. Repeatable."
    ),
)
@click.option(
    "--probe",
    metavar="COVARIATE",
    default=None,
    help=(
        "How well a covariate, such as site, can be predicted from stored embeddings ('mritk run "
        "--keep-embeddings')."
    ),
)
@click.option(
    "--diff",
    type=UserPath(),
    metavar="BASE",
    help=(
        "Show differences from the results folder BASE instead. Exit code 0 whatever they are, 5 "
        "if nothing could be compared: 'mritk compare' is the gate."
    ),
)
@click.option(
    "--update",
    type=UserPath(),
    metavar="FILE",
    help=(
        "Rewrite the text in FILE between '<!-- mritk leaderboard -->' and '<!-- end of mritk "
        "leaderboard -->'."
    ),
)
@analysis_options
@plugin_option
@pass_app
def leaderboard(app: App, /, results: Path, **options: Any) -> int:
    """Print the leaderboard of RESULTS (default: ./mritk-results).

    All numbers are computed from the predictions stored in the trial files: scores with
    intervals over patients and runs, and letters shared by rows that do not differ significantly.

    \b
    mritk leaderboard --format latex --metric mcc --metric ece
    mritk leaderboard --dataset phantom --level patient --columns sd,flops,gpu_hours
    mritk leaderboard --ensemble seeds --ensemble greedy
    mritk leaderboard --update README.md
    """
    require_one_style(options)
    options["style"] = _style(options)
    analysis = as_analysis(app, options, by=options["by"])
    if options["diff"] is not None:
        if without := [flag for flag, name in NOT_WITH_DIFF.items() if options[name]]:
            raise UsageError(f"--diff compares trials row by row; remove {listed(without)}")
        return _diff(results, options, analysis)
    if options["update"] is not None and (options["output"] or options["style"] == "parquet"):
        other = "-o" if options["output"] else "--format parquet"
        raise UsageError(f"--update writes into a file of text; remove it, or {other}")
    board = _board(results, options, analysis)
    if not board.tables and not board.damaged:
        say(f"mritk: {board.nothing_in(results, asked_for(options))}")
        return ExitCode.NOTHING_TO_DO
    board.require_metrics(options["metrics"])
    _write(board, options)
    for message in board.damaged:
        say(f"mritk: not read: {message}")
    return board.exit_code or (ExitCode.OK if board.tables else ExitCode.NOTHING_TO_DO)


def _style(options: dict[str, Any]) -> str | None:
    """Return the format that was asked for, by ``--format`` or by what the output file ends in.

    Raises:
        UsageError: The ending means another format, or none.
    """
    output: Path | None = options["output"]
    asked: str | None = "json" if options["as_json"] else options["style"]
    if output is None:
        return asked
    meant = ENDINGS.get(output.suffix.lower())
    if asked and meant and asked != meant:
        raise UsageError(
            f"{output} would hold {asked}, but programs would read it as {meant}; choose another "
            f"ending, or --format {meant}"
        )
    if not (asked or meant or output.suffix.lower() in TABLES):
        known = listed([*ENDINGS, *filter(None, TABLES)])
        raise UsageError(
            f"{output}: no format ends in {output.suffix}; use one of {known}, or say --format"
        )
    return asked or meant


def _board(results: Path, options: dict[str, Any], analysis: Analysis) -> Leaderboard:
    """Return the leaderboard of the trials that are asked for; the index spares reading others."""
    from mritk.results.leaderboard import build_leaderboard
    from mritk.results.row_keys import all_but
    from mritk.results.trial_index import TrialIndex
    from mritk.store.folder import ResultsFolder

    build = partial(
        build_leaderboard,
        metrics=options["metrics"],
        sort=options["sort"],
        group_by=[*all_but(split_names(options["rows"])), *split_names(options["groupings"])],
        analysis=analysis,
    )
    wanted = chosen(options)
    folder = ResultsFolder(results)
    if analysis.by or options["groups"] or options["probe"]:  # these need every sample
        from mritk.results.by_group import with_groups
        from mritk.results.covariate import Covariate

        found: list[TrialRecord | StoreError] = [
            t for t in folder.trials() if isinstance(t, StoreError) or wanted(t)
        ]
        if options["probe"]:
            from mritk.results.probed import probed

            found = probed(found, Covariate.parse(options["probe"]))
        return with_groups(build(found), [Covariate.parse(text) for text in options["groups"]])
    asked = (*options["metrics"], options["sort"])
    held = bool(analysis.ensembles)
    with TrialIndex(folder, analysis, asked, wanted, held=held) as index:
        return build(index.trials(), kept=index)


def _write(board: Leaderboard, options: dict[str, Any]) -> None:
    """Write the leaderboard to where it is wanted."""
    from mritk.results.columns import require_columns
    from mritk.results.formats import format_leaderboard
    from mritk.results.tabular_export import write_parquet
    from mritk.text.printable import encoding

    output, file = options["output"], options["update"]
    if options["groups"] and options["style"] in ("csv", "parquet"):
        raise UsageError(f"--groups has no {options['style']} format; use --json")
    to_file = output is not None or file is not None
    style, width = style_and_width(options, to_file=to_file)
    if to_file:
        encoding.set("utf-8")
    if style == "parquet":
        if output is None:
            raise UsageError("Parquet is a binary format; specify a file with -o FILE.parquet")
        write_parquet(board, output)
        return
    columns = split_names(options["columns"]) or None
    require_columns(columns or ())
    text = format_leaderboard(board, style, columns, width)
    if file is not None:
        from mritk.text.marked_file import update

        changed = update(file, text)
        say(f"{file} {'is updated' if changed else 'was up to date'}")
    elif output is not None:
        try:
            output.write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {output}: {error.strerror or error}") from error
    elif options["style"] == "csv":
        echo_data(text)
    else:
        echo(text)


def _diff(results: Path, options: dict[str, Any], analysis: Analysis) -> int:
    """Print what has changed since another results folder."""
    from mritk.compare.gate import compare_folders
    from mritk.compare.gate_text import comparisons_as_data, comparisons_text

    style, width = style_and_width(options)
    if style not in ("github", "plain", "json"):
        raise UsageError(f"--diff supports github, plain or json, not {style}")
    found = compare_folders(
        *paired_folders(options["diff"], results, options),
        metrics=options["metrics"],
        analysis=analysis,
    )
    if style == "json":
        echo_json(comparisons_as_data(found))
    else:
        echo(comparisons_text(found, style, width))
    return ExitCode.OK if found.changes else ExitCode.NOTHING_TO_DO
