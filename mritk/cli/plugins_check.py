"""``mritk plugins check``: does a plugin keep what plugins promise?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mritk.cli.app import App, json_option, pass_app, plugin_option
from mritk.cli.tell import echo, echo_json, say
from mritk.errors import ExitCode

if TYPE_CHECKING:
    from mritk.testing.check import State, Verdict

KINDS = ("backbone", "dataset", "augmentation", "method", "metric", "executor", "explainer")
STATES: tuple[State, ...] = ("passed", "failed", "skipped", "n/a")


@click.command(short_help="Test whether a plugin meets mritk's requirements.")
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@click.option("--as", "kind", type=click.Choice(KINDS), help="Kind of the name, if ambiguous.")
@click.option("--all", "show_all", is_flag=True, help="Print all checks, including passed ones.")
@click.option("--fetch", is_flag=True, help="Download missing data and weights.")
@json_option
@plugin_option
@pass_app
def check(
    app: App,
    names: tuple[str, ...],
    kind: str | None,
    show_all: bool,
    fetch: bool,
    as_json: bool,
) -> ExitCode:
    """Test whether plugins, or single things that they provide, meet mritk's requirements.

    NAME is a plugin listed by 'mritk plugins', or a backbone, dataset, augmentation, method or
    metric. Each requirement is one check: features and gradients, weights, patients and splits,
    generators, test samples, resuming, sample weights, and so on. The exit code is 1 if a check
    fails. Checks that need missing files are skipped with the reason; --fetch downloads them.

    \b
    mritk plugins check -p ./mine.py mine
    mritk plugins check timm:resnet18 flip
    """
    from mritk.testing.plugin import inspect_named

    workspace = app.workspace(offline=not fetch)
    found: list[Verdict] = []
    for verdicts in [inspect_named(name, app.registry, workspace, kind or "") for name in names]:
        for verdict in verdicts:
            if not found or verdict.subject != found[-1].subject:
                say(f"{verdict.subject} …")
            found.append(verdict)
    if as_json:
        echo_json([asdict(verdict) for verdict in found])
    else:
        _print(found, show_all=show_all)
    failed = any(verdict.state == "failed" for verdict in found)
    return ExitCode.GATE_FAILED if failed else ExitCode.OK


def _print(verdicts: Sequence[Verdict], *, show_all: bool) -> None:
    from tabulate import tabulate

    subjects = {verdict.subject: Counter[str]() for verdict in verdicts}
    for verdict in verdicts:
        subjects[verdict.subject][verdict.state] += 1
    table = [
        [name, *(states[state] or "" for state in STATES)] for name, states in subjects.items()
    ]
    echo(tabulate(table, ["", *STATES]))
    for state in STATES[::-1]:
        for verdict in verdicts:
            if verdict.state == state and (show_all or state in ("failed", "skipped")):
                reason = f": {verdict.reason}" if verdict.reason else ""
                echo(f"{state}: {verdict.subject} – {verdict.check}{reason}")
    total = Counter[str](verdict.state for verdict in verdicts)
    echo(", ".join(f"{total[state]} {state}" for state in STATES))
