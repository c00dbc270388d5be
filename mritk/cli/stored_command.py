"""The call of 'mritk run' that a trial keeps, to plan it again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mritk.cli.app import App
from mritk.cli.tell import is_agreed

if TYPE_CHECKING:
    from mritk.cli.run import Request
    from mritk.files.workspace import Workspace
    from mritk.store.trial_file import TrialRecord
    from mritk.study.benchmark import Benchmark
    from mritk.study.plan import Planner


def request_of(app: App, record: TrialRecord, doing: str, *, trust: bool) -> Request:
    """Return the call of 'mritk run' that made a trial; its plugins join those of this call.

    Args:
        app: This call.
        record: The trial.
        doing: What is done with it, for the question: ``rerunning``.
        trust: Whether plugins that it names may be executed without asking.

    Raises:
        Unavailable: The trial does not keep one, or it cannot be understood any more.
        UsageError: It names plugins, and nobody says that they may be executed.
    """
    from mritk.cli.run import Request, run
    from mritk.errors import Unavailable

    command = [str(word) for word in record.provenance.get("command", [])]
    if "run" not in command:
        raise Unavailable(
            f"trial {record.id[:8]} does not contain its 'mritk run' command; repeat it with "
            "'mritk run --rerun' and its options"
        )
    at, named = command.index("run"), App()
    try:
        # Plugins may be named before the command, too.
        context = run.make_context("run", [*command[1:at], *command[at + 1 :]], obj=named)
    except (click.ClickException, click.exceptions.Exit) as error:
        why = error.format_message() if isinstance(error, click.ClickException) else "it asks help"
        raise Unavailable(
            f"the command of trial {record.id[:8]} is not supported by this version of mritk: {why}"
        ) from error
    code = [n for n in named.plugin_options if n not in app.plugin_options and n[:3] != "no:"]
    if code and not trust:
        _ask(record, doing, code)
    app.plugin_options.extend(named.plugin_options)
    return Request(app, **context.params)


def benchmark_of(request: Request, dataset: str | None) -> Benchmark:
    """Return the benchmark of a call, its data at another place if they have moved."""
    benchmark = request.benchmark()
    return replace(benchmark, datasets=(dataset,)) if dataset else benchmark


def planner_of(
    request: Request, workspace: Workspace, progress: Callable[[str, float], None]
) -> Planner:
    """Return what plans the trials of a call again, by its options."""
    from mritk.study.plan import Planner

    return Planner(
        request.app.registry,
        workspace,
        request.skip_unreadable,
        progress,
        deterministic=request.deterministic,
    )


def _ask(record: TrialRecord, doing: str, plugins: list[str]) -> None:
    """Ask whether plugins that a trial file names may be executed: the file may be anybody's.

    Raises:
        UsageError: They may not, or there is nobody to ask.
    """
    from mritk.errors import UsageError

    shown = [str(Path(name).resolve()) if name.endswith(".py") else name for name in plugins]
    what = f"{doing} trial {record.id[:8]} would execute code named in its file: "
    what += ", ".join(shown)
    # A pipe must not agree to that: nobody has read the question.
    if sys.stdin is not None and sys.stdin.isatty() and is_agreed(f"{what}\nExecute it?"):
        return
    raise UsageError(
        f"{what}; review it, then add --trust, or load it with -p {' -p '.join(plugins)}"
    )
