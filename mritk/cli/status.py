"""``mritk status``: how the trials of a results folder stand."""

from __future__ import annotations

import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mritk.cli.app import json_option, plugin_option, results_argument
from mritk.cli.tell import echo, echo_json, output
from mritk.errors import ExitCode, UsageError
from mritk.files.user_path import as_typed

if TYPE_CHECKING:
    from mritk.execute.status import Running, Status
    from mritk.store.folder import ResultsFolder

INTERVAL_S = 2.0
# As many trials of each kind as fit on a screen; '--json' has all.
SHOWN = 20


@click.command()
@results_argument
@click.option("--watch", is_flag=True, help="Repeat every 2 s until no run goes on.")
@json_option
@plugin_option
def status(results: Path, watch: bool, as_json: bool) -> int:
    """Show the trials of RESULTS (default: ./mritk-results): finished, running, failed, to do.

    Runs on this and other machines are seen as soon as they train. Those to do are the trials of
    runs that go on, and of runs that were killed. Interrupted ones have a checkpoint, by id; the
    same command resumes them.
    """
    from mritk.execute.status import Status
    from mritk.store.folder import ResultsFolder

    if watch and as_json:
        raise UsageError("--watch is for a person, --json for a program: use one of them")
    folder = ResultsFolder(results)
    while True:
        found = Status.of(folder, reasons=None if as_json else SHOWN)
        if as_json:
            echo_json(_as_data(found))
            return ExitCode.OK
        if watch and output().isatty():
            with redirect_stdout(output()):
                click.clear()
        echo(_text(found, folder))
        if not (watch and (found.running or found.goes_on)):
            return ExitCode.OK
        time.sleep(INTERVAL_S)


def _text(found: Status, folder: ResultsFolder) -> str:
    from tabulate import tabulate

    if not any((found.finished, found.running, found.failed, found.unusable, found.to_do)):
        return folder.says_empty()
    counts = [f"{found.finished} finished", f"{len(found.running)} running"]
    to_do = [name for trial, name in found.to_do.items() if trial not in found.left]
    counts += [f"{len(found.failed)} failed", f"{len(to_do)} to do"]
    if begun := found.interrupted - len(found.left):
        counts[-1] += f" ({begun} of them interrupted)"
    if found.left:
        counts.append(f"{len(found.left)} interrupted")
    if found.unusable:
        counts.append(f"{len(found.unusable)} damaged or inaccessible (see 'mritk doctor')")
    parts = [", ".join(counts)]
    if found.running:
        header = ["running", "where", "epoch", "loss", "since", "left"]
        rows = [_row(running) for running in found.running[:SHOWN]]
        parts.append(tabulate(rows, header, disable_numparse=True) + _more(found.running))
    if found.failed:
        rows = [[name, reason] for name, reason in list(found.failed.values())[:SHOWN]]
        parts.append(tabulate(rows, ["failed", "why"], maxcolwidths=[None, 70]))
        parts[-1] += _more(found.failed)
    if to_do:
        parts.append(tabulate([[name] for name in to_do[:SHOWN]], ["to do"]) + _more(to_do))
    if found.left:
        ids = [[trial] for trial in found.left[:SHOWN]]
        parts.append(tabulate(ids, ["interrupted"], disable_numparse=True) + _more(found.left))
        where = as_typed(folder.path)
        parts.append(
            "No run names the interrupted trials. The same 'mritk run' resumes them; to discard "
            f"their checkpoints: mritk doctor {where} --discard-checkpoints"
        )
    return "\n\n".join(parts)


def _row(running: Running) -> list[str]:
    from mritk.text.duration import duration

    epoch, left = running.epoch, running.left
    where = f"{running.training.host}, process {running.training.process}"
    return [
        running.name or running.trial[:8],
        where,
        "–" if epoch is None else epoch.count,
        "–" if epoch is None else f"{epoch.train_loss:.3f}",
        duration(running.seconds),
        "–" if left is None else f"about {duration(left)}",
    ]


def _more(rows: Any) -> str:
    return f"\n… and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""


def _as_data(found: Status) -> dict[str, Any]:
    running = [
        {
            "trial": one.trial,
            "name": one.name,
            "host": one.training.host,
            "process": one.training.process,
            "epoch": one.epoch.epoch if one.epoch else 0,
            "epochs": one.epoch.epochs if one.epoch else None,
            "train_loss": one.epoch.train_loss if one.epoch else None,
            "seconds": one.seconds,
            "seconds_left": one.left,
        }
        for one in found.running
    ]
    failed = [
        {"trial": trial, "name": name, "reason": reason}
        for trial, (name, reason) in found.failed.items()
    ]
    return {
        "finished": found.finished,
        "running": running,
        "failed": failed,
        "unusable": found.unusable,
        "to_do": found.to_do,
        "interrupted": found.interrupted,
        "left": list(found.left),
    }
