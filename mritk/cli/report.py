"""``mritk report``: one self-contained HTML page about a results folder."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mritk.cli.analysis_options import (
    analysis_options,
    as_analysis,
    ensemble_option,
    metrics_option,
    sort_option,
)
from mritk.cli.app import App, UserPath, offline_option, pass_app, plugin_option, results_argument
from mritk.cli.data_options import as_data_options, data_options
from mritk.cli.tell import say
from mritk.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from mritk.report.page import Pictures
    from mritk.results.table import Leaderboard
    from mritk.store.explanations import Explanations
    from mritk.store.folder import ResultsFolder


@click.command()
@results_argument
@click.option(
    "-o",
    "--output",
    type=UserPath((".html", ".htm")),
    default=Path("report.html"),
    show_default=True,
    help="The page.",
)
@click.option(
    "-d",
    "--dataset",
    "datasets",
    multiple=True,
    metavar="NAME",
    help="Show images of the hardest samples of this dataset, specified as for 'mritk run'.",
)
@metrics_option("Metric; repeatable.")
@sort_option
@ensemble_option
@analysis_options
@data_options
@offline_option
@plugin_option
@pass_app
def report(app: App, /, results: Path, output: Path, **options: Any) -> int:
    """Write a self-contained HTML report of RESULTS (default: ./mritk-results).

    Sortable and filterable leaderboard, intervals, differences, learning curves, ROC, confusion,
    reliability, hardest samples, audit, protocol and provenance; for screen, phone and print.
    """
    from mritk.files.atomic import write_whole
    from mritk.report.page import render
    from mritk.results.leaderboard import build_leaderboard
    from mritk.results.table_trial import TableTrial
    from mritk.results.trial_index import TrialIndex
    from mritk.store.folder import ResultsFolder

    analysis = as_analysis(app, options)
    metrics, sort = options["metrics"], options["sort"]
    # Every trial is shown, so every file is read; what was computed of them before may be kept.
    with TrialIndex(ResultsFolder(results), analysis, (*metrics, sort), held=True) as index:
        trials = list(index.trials())
        board = build_leaderboard(trials, metrics=metrics, sort=sort, analysis=analysis, kept=index)
    if not board.tables:
        say(f"mritk: {board.nothing_in(results)}")
        for message in board.damaged:
            say(f"mritk: not read: {message}")
        return board.exit_code or ExitCode.NOTHING_TO_DO
    board.require_metrics(metrics)
    there = [trial for trial in trials if isinstance(trial, TableTrial)]
    failed = [t.held for t in there if t.held is not None and not t.facts.finished]
    pictures, remarks = _pictures(app, board, options)
    explanations = _explanations(board, ResultsFolder(results), remarks)
    page = render(board, failed, pictures, remarks, datetime.now().astimezone(), explanations)
    write_whole(output, page.encode("utf-8"))
    say(f"{output} ({len(page) / 1e6:.1f} MB)")
    for line in remarks:
        say(f"mritk: {line}")
    return board.exit_code


def _pictures(
    app: App, board: Leaderboard, options: dict[str, Any]
) -> tuple[dict[str, Pictures], list[str]]:
    """Return pictures by dataset, and why there are none of some datasets."""
    from mritk.audit.image_index import image_index
    from mritk.data.rank import has_grid
    from mritk.report.hardest import hardest
    from mritk.report.mask_slices import backgrounds
    from mritk.report.page import Pictures
    from mritk.report.thumbnails import thumbnails
    from mritk.study.opening import open_datasets

    workspace = app.workspace(offline=options["offline"])
    data = as_data_options(options)
    pictures: dict[str, Pictures] = {}
    remarks = []
    for opened in open_datasets(options["datasets"], app.registry, workspace, data):
        if not has_grid(opened.samples.spatial_dims):
            raise UsageError(f"{opened.record.name} has no images; remove --dataset")
        index = image_index(opened.samples, workspace, opened.reader)
        known = opened.identified(index)
        fingerprint = known.only(known.originals).fingerprint
        tables = [t for t in board.tables if t.keys["dataset_fingerprint"] == fingerprint]
        if not tables:
            remarks.append(
                f"{opened.record.name} differs from the training data of the trials, so its "
                "images are not shown: use the same --patient-regex, --patients, --rename and "
                "dataset options as for 'mritk run'; otherwise the files have changed"
            )
        wanted = [sample.id for table in tables for sample in hardest(table)]
        shown = pictures.setdefault(fingerprint, Pictures(samples=opened.samples))
        shown.thumbnails.update(thumbnails(opened.samples, wanted))
        for table in tables:
            shown.slices.update(backgrounds(opened.samples, table))
    return pictures, remarks


def _explanations(
    board: Leaderboard, results: ResultsFolder, remarks: list[str]
) -> dict[str, Explanations]:
    """Return what 'mritk explain' found of the trials; what cannot be read becomes a remark."""
    from mritk.errors import StoreError
    from mritk.store.explanations import stored_explanations

    found = {}
    for record in (record for table in board.tables for record in table.every_record):
        try:
            explanations = stored_explanations(results, record.id)
        except StoreError as error:
            remarks.append(str(error))
            continue
        if explanations is not None:
            found[record.id] = explanations
    return found
