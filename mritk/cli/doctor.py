"""``mritk doctor``: look into every corner of a results folder."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mritk.cli.app import json_option, plugin_option, results_argument
from mritk.cli.tell import echo


@click.command()
@results_argument
@click.option(
    "--fix",
    is_flag=True,
    help="Delete leftovers that are an hour old, move torn, altered, misnamed and foreign files "
    "to RESULTS/quarantine, renew results.h5. No trial is deleted.",
)
@json_option
@plugin_option
def doctor(results: Path, fix: bool, as_json: bool) -> int:
    """Open every file of RESULTS (default: ./mritk-results) and say what is wrong.

    Torn, altered, foreign, misnamed and inconsistent files are serious: exit code 1. Failed
    and interrupted trials, trials of one identity, files of a newer or older schema, leftovers and
    a stale results.h5 are notes. Every digest, fingerprint, split and score is computed anew. Exit
    code 4: nothing is wrong, but a file cannot be read now.
    """
    from tabulate import tabulate

    from mritk.store.doctor import cure, diagnose
    from mritk.store.folder import ResultsFolder

    folder = ResultsFolder(results)
    found = diagnose(folder)
    done = cure(folder, found) if fix else []
    after = diagnose(folder) if fix else found
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
        echo(json.dumps({"whole": after.trials, "found": rows, "done": done}, indent=2))
    else:
        if found.ailments:
            table = [[str(a.path), a.state.value, a.text] for a in found.ailments]
            echo(tabulate(table, ["file", "state", "what"]) + "\n")
        for line in done:
            echo(line)
        verdict = "something is wrong" if after.serious else "all is well"
        if after.unreadable:
            verdict = f"{after.unreadable} cannot be read now; of the others, {verdict}"
        begun = f", {after.interrupted} interrupted" if after.interrupted else ""
        whole = "1 trial is" if after.trials == 1 else f"{after.trials} trials are"
        echo(f"{whole} whole{begun}; {verdict}.")
    return after.exit_code
