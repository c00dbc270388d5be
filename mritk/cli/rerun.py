"""``mritk rerun``: train a stored trial again and compare."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mritk.cli.app import App, json_option, offline_option, pass_app, plugin_option, results_option
from mritk.cli.completed import complete_trial
from mritk.cli.device import device_option
from mritk.cli.tell import echo, echo_json
from mritk.errors import ExitCode

if TYPE_CHECKING:
    from mritk.cli.run import Request
    from mritk.store.trial_file import TrialRecord


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
    type=click.Path(path_type=Path),
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
    from mritk.errors import UsageError
    from mritk.execute.reproduce import reproduce
    from mritk.store.find_trial import find_trial
    from mritk.store.folder import ResultsFolder
    from mritk.study.plan import Planner

    record = find_trial(trial, folder)
    if record.status != "finished":
        raise UsageError(f"trial {record.id[:8]} failed; 'mritk run' retries it")
    request = _request(app, record, trust=options["trust"])
    benchmark = request.benchmark()
    if options["dataset"]:
        benchmark = replace(benchmark, datasets=(options["dataset"],))
    with (
        tempfile.TemporaryDirectory(prefix="mritk-rerun-") as temporary,
        progress_line() as progress,
    ):
        planner = Planner(
            app.registry,
            app.workspace(offline=options["offline"] or request.offline),
            request.skip_unreadable,
            progress,
            deterministic=request.deterministic,
        )
        into = ResultsFolder(options["keep"] or Path(temporary))
        agreement = reproduce(record, benchmark, planner, into, options["device"])
    equal = agreement.largest <= options["tolerance"]
    if options["as_json"]:
        echo_json({**asdict(agreement), "equal": equal})
    else:
        echo(agreement.text())
        if options["keep"]:
            echo(f"\nThe new trial is {agreement.file}.")
    return ExitCode.OK if equal else ExitCode.GATE_FAILED


def _request(app: App, record: TrialRecord, *, trust: bool) -> Request:
    """Return the call of 'mritk run' that made a trial; its plugins join those of this call.

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
        _ask(record, code)
    app.plugin_options.extend(named.plugin_options)
    return Request(app, **context.params)


def _ask(record: TrialRecord, plugins: list[str]) -> None:
    """Ask whether plugins that a trial file names may be executed: the file may be anybody's.

    Raises:
        UsageError: They may not, or there is nobody to ask.
    """
    from mritk.errors import UsageError

    shown = [str(Path(name).resolve()) if name.endswith(".py") else name for name in plugins]
    what = f"rerunning trial {record.id[:8]} would execute code named in its file: "
    what += ", ".join(shown)
    if sys.stdin.isatty() and click.confirm(f"{what}\nExecute it?", err=True):
        return
    raise UsageError(
        f"{what}; review it, then add --trust, or load it with -p {' -p '.join(plugins)}"
    )
