"""``mritk rerun``: train a stored trial again and compare."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from mritk.cli.app import (
    App,
    UserPath,
    json_option,
    offline_option,
    pass_app,
    plugin_option,
    results_option,
)
from mritk.cli.completed import complete_trial
from mritk.cli.device import device_option
from mritk.cli.tell import echo, echo_json
from mritk.errors import ExitCode


@click.command()
@click.argument("trial", shell_complete=complete_trial)
@results_option("Results folder of the trial.")
@click.option("-d", "--dataset", metavar="NAME", help="Current location of its data, if moved.")
@device_option
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-4,
    show_default=True,
    help="Score difference that counts as equal, as rounding depends on the processor.",
)
@click.option(
    "--keep",
    type=UserPath(),
    metavar="FOLDER",
    help="Store the new trial in this results folder.",
)
@click.option("--trust", is_flag=True, help="Execute the plugins of the trial without asking.")
@offline_option
@json_option
@plugin_option
@pass_app
def rerun(app: App, /, trial: str, folder: Path, **options: Any) -> int:
    """Retrain a stored trial from its stored command line, and compare.

    TRIAL is an id prefix, or the path of a file. The stored trial is not modified.

    Plugins in its command are code: they are shown, and executed only after confirmation.

    Exit code 0: all scores agree. 1: some do not. 4: it would be another trial (with the reason).
    """
    from mritk.cli.progress import progress_line
    from mritk.cli.stored_command import benchmark_of, planner_of, request_of
    from mritk.errors import UsageError
    from mritk.execute.reproduce import reproduce
    from mritk.store.find_trial import find_trial
    from mritk.store.folder import ResultsFolder

    record = find_trial(trial, folder)
    if not record.finished:
        raise UsageError(f"trial {record.id[:8]} failed; 'mritk run' retries it")
    request = request_of(app, record, "rerunning", trust=options["trust"])
    benchmark = benchmark_of(request, options["dataset"])
    workspace = app.workspace(offline=options["offline"] or request.offline)
    with (
        tempfile.TemporaryDirectory(prefix="mritk-rerun-") as temporary,
        progress_line() as progress,
    ):
        planner = planner_of(request, workspace, progress)
        into = ResultsFolder(options["keep"] or Path(temporary))
        agreement = reproduce(record, benchmark, planner, into, options["device"])
    equal = agreement.largest <= options["tolerance"]
    if options["as_json"]:
        file = agreement.file if options["keep"] else None  # else it went with its folder
        echo_json({**asdict(agreement), "file": file, "equal": equal})
    else:
        echo(agreement.text())
        if options["keep"]:
            echo(f"\nThe new trial is {agreement.file}.")
    return ExitCode.OK if equal else ExitCode.GATE_FAILED
