"""``mritk rescore``: all metrics of all trials as one tidy table in ``results.h5``."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mritk.cli.app import App, json_option, pass_app, plugin_option, results_argument
from mritk.cli.tell import echo, echo_data, echo_json, say
from mritk.cli.terminal import require_one_format
from mritk.errors import ExitCode, HookError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mritk.evaluate.metric import Metric
    from mritk.store.trial_file import Stored

OF_TRIAL = (
    *("dataset", "dataset_fingerprint", "protocol", "fingerprint", "scheme", "evaluation"),
    *("backbone", "augmentation", "fold", "seed"),
)


@click.command()
@results_argument
@click.option("--csv", "as_csv", is_flag=True, help="Print the table as CSV.")
@json_option
@plugin_option
@pass_app
def rescore(app: App, /, results: Path, as_csv: bool, as_json: bool) -> int:
    """Recompute all metrics of all finished trials from their predictions.

    A new metric, or one of a plugin, needs no training. The scores go to RESULTS/results.h5, group
    'scores': one column each for trial, dataset, protocol, their fingerprints, scheme, evaluation,
    backbone, augmentation, fold, seed, part, metric, value, and the reason if undefined. Without a
    metric that fails, which is told.
    """
    from mritk.store.folder import ResultsFolder
    from mritk.store.trial_state import UnusableTrial, exit_code_of
    from mritk.store.view import COLUMNS, write_view
    from mritk.text.numbers import or_null

    require_one_format({"--csv": as_csv, "--json": as_json})
    folder, extra = ResultsFolder(results), app.registry.metrics()
    rows, trials, failures = [], 0, dict[str, str]()
    found = list(folder.stored())
    for stored in found:
        if isinstance(stored, UnusableTrial):
            say(f"mritk: not read: {stored}")
        elif stored.record.finished:
            trials += 1
            rows += _rows(stored, extra, failures)
    if not trials:
        say(f"mritk: no finished trials in {results}")
        return exit_code_of(found) or ExitCode.NOTHING_TO_DO
    for failure in failures.values():
        say(f"mritk: {failure}")
    write_view(results, rows)
    if as_json:
        clean = [{**row, "value": or_null(row["value"])} for row in rows]
        echo_json(clean)
    elif as_csv:
        table = io.StringIO()
        writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        echo_data(table.getvalue(), end="")
    else:
        echo(f"wrote {len(rows)} scores of {trials} trials to {results / 'results.h5'}")
    return HookError.exit_code if failures else exit_code_of(found)


def _rows(
    stored: Stored, extra: Sequence[Metric], failures: dict[str, str]
) -> list[dict[str, Any]]:
    """Return the rows of a trial; how metrics that have none fail first is in ``failures``."""
    from mritk.evaluate.metrics import metrics_of

    record = stored.record
    of_trial = {name: getattr(record, name) for name in OF_TRIAL}
    shared = {"trial": record.id, "digest": stored.seal, **of_trial}
    rows = []
    for part, predictions in record.predictions.items():
        for metric in metrics_of(record.task, extra, shown=False):
            try:
                scores = predictions.scores_for(metric, record.task)
                found = metric.compute(predictions.target, scores)
            except HookError as error:  # those of mritk, and of other plugins, are wanted even so
                failures.setdefault(metric.name, str(error))
                continue
            scored = {"metric": metric.name, "value": found.value, "reason": found.reason}
            rows.append({**shared, "part": part, **scored})
    return rows
