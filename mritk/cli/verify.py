"""``mritk verify``: prove one trial file, and compute its numbers anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mritk.cli.app import json_option, results_option
from mritk.cli.completed import complete_trial
from mritk.cli.tell import echo, echo_json
from mritk.errors import ExitCode

if TYPE_CHECKING:
    from mritk.evaluate.metric import Value


@click.command()
@click.argument("trial", shell_complete=complete_trial)
@results_option("Results folder of the trial.")
@json_option
def verify(trial: str, folder: Path, as_json: bool) -> int:
    """Check that a trial file is unmodified, and recompute its scores.

    TRIAL is an id prefix, or the path of a file. Exit code 1: a check failed. 4: the file is
    currently inaccessible.
    """
    from mritk.errors import StoreError
    from mritk.results.named_reasons import named_value
    from mritk.store.checks import Check, checks_of, scores_of
    from mritk.store.find_trial import trial_file
    from mritk.store.trial_file import read_trial
    from mritk.store.trial_state import UnreadableTrial
    from mritk.text.numbers import or_null

    path = trial_file(trial, folder)
    try:
        record = read_trial(path)
    except UnreadableTrial:
        raise  # nothing is known of it
    except StoreError as error:
        checks, scores = [Check("digest and layout", str(error))], {}
    else:
        checks = [Check("digest and layout"), *checks_of(record, path.stem)]
        scores = {
            part: {
                name: named_value(value, record.task)
                for name, value in scores_of(record, predicted).items()
            }
            for part, predicted in record.predictions.items()
        }
    failed = [check for check in checks if not check.ok]
    if as_json:
        numbers = {
            part: {name: or_null(found.value) for name, found in of_part.items()}
            for part, of_part in scores.items()
        }
        told = {check.name: check.wrong or "ok" for check in checks}
        echo_json({"file": str(path), "checks": told, "scores": numbers})
    else:
        echo(f"{path}\n")
        echo(_table([(check.name, check.wrong or "ok") for check in checks], "check"))
        for part, found in scores.items():
            echo("")
            echo(_table([(name, _text(value)) for name, value in found.items()], part))
    return ExitCode.GATE_FAILED if failed else ExitCode.OK


def _text(value: Value) -> str:
    return f"nan: {value.reason}" if value.reason else f"{value.value:.4f}"


def _table(rows: Sequence[tuple[str, str]], title: str) -> str:
    from tabulate import tabulate

    return tabulate(rows, [title, ""], disable_numparse=True)
