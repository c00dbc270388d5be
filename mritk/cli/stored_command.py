"""The call of 'mritk run' that a trial keeps, to plan it again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mritk.cli.app import App
from mritk.cli.tell import is_agreed
from mritk.files.user_path import user_path

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
        Unavailable: The trial does not keep one, or it cannot be understood any more, or files that
            it names are not here.
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
    # What this call names under a name of its own is what the trial means by it: the file may have
    # moved, and its digest is compared later.
    known = {_plugin_name(name) for name in app.plugin_options}
    stored = [name for name in named.plugin_options if _plugin_name(name) not in known]
    _require_files(record, [*stored, context.params["file"] or "", *context.params["protocols"]])
    code = [name for name in stored if name[:3] != "no:"]
    if code and not trust:
        _ask(record, doing, code)
    app.plugin_options.extend(stored)
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


def _plugin_name(option: str) -> str:
    """Return the name that a plugin gets which ``-p`` names: of a file that without its folder."""
    return Path(option).stem if option.endswith(".py") else option


def _require_files(record: TrialRecord, names: Sequence[str]) -> None:
    """Refuse a command that names files by where it was typed, typed somewhere else.

    Raises:
        Unavailable: A plugin, protocol or benchmark that it names by a file is not there.
    """
    from mritk.errors import Unavailable

    files = [name for name in names if name.endswith((".py", ".toml"))]
    absent = [name for name in files if not user_path(name).is_file()]
    if absent:
        raise Unavailable(
            f"the command of trial {record.id[:8]} names {', '.join(absent)}, and no such file is "
            "here; repeat this in the folder where it was trained (if a plugin has moved: -p FILE)"
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
