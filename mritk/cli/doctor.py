"""``mritk doctor``: look into every corner of a results folder."""

from __future__ import annotations

from pathlib import Path

import click

from mritk.cli.app import json_option, plugin_option, results_argument
from mritk.cli.tell import echo, echo_json, say
from mritk.errors import ExitCode


@click.command()
@results_argument
@click.option(
    "--fix",
    is_flag=True,
    help=(
        "Delete leftovers older than an hour, move truncated, modified, misnamed and foreign "
        "files to RESULTS/quarantine, rebuild results.h5. No trial is deleted."
    ),
)
@click.option(
    "--discard-checkpoints",
    "discard",
    is_flag=True,
    help="Delete the checkpoints of interrupted trials, except those that a run needs.",
)
@json_option
@plugin_option
def doctor(results: Path, fix: bool, discard: bool, as_json: bool) -> int:
    """Check every file of RESULTS (default: ./mritk-results) and report problems.

    Truncated, modified, foreign, misnamed and inconsistent files are errors: exit code 1. Failed
    and interrupted trials, trials with the same identity, files of a newer or older schema,
    leftovers and an outdated results.h5 are notes. All digests, fingerprints, splits and scores
    are recomputed. Exit code 4: no problems, but a file is currently inaccessible. 5: no
    trials.
    """
    from tabulate import tabulate

    from mritk.execute.agenda import going
    from mritk.store.discard import discard_interrupted
    from mritk.store.doctor import cure, diagnose
    from mritk.store.folder import ResultsFolder

    folder = ResultsFolder(results)
    found = diagnose(folder)
    if not found.trials and not found.ailments:
        say(f"mritk: {folder.says_empty()}")
        return ExitCode.NOTHING_TO_DO
    done = cure(folder, found) if fix else []
    if discard:
        done += discard_interrupted(folder, found, going(folder))
    after = diagnose(folder) if fix or discard else found
    if as_json:
        rows = [
            {
                "file": str(ailment.path),
                "state": ailment.state.value,
                "serious": ailment.state.serious,
                "text": ailment.text,
            }
            for ailment in found.ailments
        ]
        echo_json({"whole": after.trials, "found": rows, "done": done})
    else:
        if found.ailments:
            table = [[str(a.path), a.state.value, a.text] for a in found.ailments]
            echo(tabulate(table, ["file", "state", "what"]) + "\n")
        for line in done:
            echo(line)
        verdict = "problems found" if after.serious else "no problems found"
        if after.unreadable:
            verdict = f"{after.unreadable} currently inaccessible; others: {verdict}"
        begun = f", {after.interrupted} interrupted" if after.interrupted else ""
        whole = "1 trial is" if after.trials == 1 else f"{after.trials} trials are"
        echo(f"{whole} intact{begun}; {verdict}.")
    return after.exit_code
