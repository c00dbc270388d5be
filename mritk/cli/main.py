"""The program: parse, dispatch, turn errors into one line and an exit code."""

from __future__ import annotations

import io
import sys
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from importlib import import_module
from typing import Any, cast

import click
from click.shell_completion import CompletionItem

import mritk
from mritk.cli.app import App, pass_app, plugin_option
from mritk.cli.hints import harmless, meant_by
from mritk.cli.interrupt import Interrupt
from mritk.cli.tell import results_alone, say, warn
from mritk.errors import ExitCode, MritkError
from mritk.files.remedy import ENVIRONMENT

EPILOG = """\b
Environment:
  MRITK_HOME       folder for generated and decoded data
  MRITK_SCRATCH    folder on a disk of this machine for decoded data
  MRITK_OFFLINE    1: no downloads
  MRITK_JOBS       number of trials trained at once
  MRITK_PLUGINS    modules to load, separated by commas
  MRITK_DISABLE_PLUGIN_AUTOLOAD
                   1: load only requested plugins
  MRITK_STRICT_PLUGINS
                   1: a plugin that fails to load is an error
  MRITK_TRACE_PLUGINS
                   1: print every hook call

\b
Exit codes: 0 ok, 1 leakage, defect or regression found, 2 usage, 3 a trial failed or
internal error, 4 something requested is unavailable, 5 nothing to do, 130 interrupted.
"""


# Each stands in a file of its own, mritk/cli/NAME.py, which is imported when it is used.
COMMANDS = {
    "run": "Train all candidates under one protocol; print a leaderboard.",
    "audit": "Check data for leakage and defects.",
    "leaderboard": "Print tables with intervals and ties.",
    "differences": "Print pairwise differences between backbones.",
    "compare": "Compare two results folders; fail on a significant regression.",
    "report": "Write an HTML report of a results folder.",
    "plot": "Draw a single figure of the report.",
    "list": "List what plugins provide.",
    "show": "Show full details of a name or trial.",
    "card": "Write the model card of a backbone or a trial.",
    "export": "Write the trained network of a trial (safetensors, ONNX).",
    "explain": "Show what the trained network of a trial looked at.",
    "rerun": "Retrain a stored trial and compare.",
    "verify": "Verify a trial file and recompute its scores.",
    "status": "Show what is finished, running and to do.",
    "doctor": "Check every file of a results folder.",
    "merge": "Merge several results folders into one.",
    "rescore": "Recompute all metrics from stored predictions.",
    "plugins": "List, check and create plugins.",
    "fetch": "Download data and weights for offline use.",
    "cache": "Show or clear mritk's cached data.",
    "completion": "Print a shell completion script.",
}


class _OwnContext(click.Context):
    """Runs a command of mritk; commands of plugins may print on stdout as they like."""

    def invoke(self, callback: Any, /, *args: Any, **kwargs: Any) -> Any:
        with results_alone():
            return super().invoke(callback, *args, **kwargs)


class Commands(Mapping[str, click.Command]):
    """The commands of mritk by name."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in COMMANDS:
            raise KeyError(name)
        found = vars(import_module(f"mritk.cli.{name}")).values()
        command = next(c for c in found if isinstance(c, click.Command) and c.name == name)
        command.short_help = COMMANDS[name]
        for each in (command, *getattr(command, "commands", {}).values()):
            each.context_class = _OwnContext
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class PluginGroup(click.Group):
    """A group whose commands plugins may extend (hook ``mritk_commands``)."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; plugins are loaded only for a name that mritk does not know."""
        return super().get_command(ctx, cmd_name) or self._extended(ctx).commands.get(cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, those of plugins included."""
        return list(self._listed(ctx))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List all commands."""
        _InOrder(commands=self._listed(ctx)).format_commands(ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin so, and the options."""
        listed = self._listed(ctx).items()
        found = [(name, c) for name, c in listed if name.startswith(incomplete) and not c.hidden]
        commands = [CompletionItem(name, help=c.get_short_help_str()) for name, c in found]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def _listed(self, ctx: click.Context) -> dict[str, click.Command]:
        """Return all commands by name; those of mritk are not imported for that, and do nothing."""
        extended = self._extended(ctx).commands
        return {
            name: click.Command(name, short_help=COMMANDS[name])
            if name in COMMANDS
            else extended[name]
            for name in dict.fromkeys((*COMMANDS, *sorted(extended)))
        }

    def _extended(self, ctx: click.Context) -> click.Group:
        # A group of its own: what a plugin adds must not outlive this call of the program.
        added: dict[str, click.Command] = {}
        extended = click.Group(commands=ChainMap(added, self.commands))
        app = ctx.ensure_object(App)
        for implementation in app.registry.implementations("mritk_commands"):
            try:
                app.registry.call(implementation, {"cli": extended})
            except Exception as error:
                origin = app.registry.origin_of(implementation)
                text = f"plugin {origin} cannot add its commands: {error!r} in mritk_commands"
                warn(text)
            for name in sorted(added.keys() & COMMANDS.keys()):
                origin = app.registry.origin_of(implementation)
                warn(f"plugin {origin} adds a command {name!r}, which mritk has; it is left out")
                del added[name]
        return extended


class _InOrder(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=PluginGroup,
    commands=cast("MutableMapping[str, click.Command]", Commands()),  # nothing is added to it
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
    no_args_is_help=True,
)
@click.version_option(mritk.__version__, prog_name="mritk")
@plugin_option
@pass_app
def cli(app: App) -> None:
    """Benchmark pretrained backbones, augmentations and fine-tuning strategies for brain MRI.

    'mritk run' trains all candidates under one identical protocol, stores all predictions, and
    prints a leaderboard.
    """
    app.begin()


def main(arguments: Sequence[str] | None = None, *, begin: Callable[[], None] | None = None) -> int:
    """Run the program and return its exit code.

    Args:
        arguments: Those of the command line; None: ``sys.argv``.
        begin: Called once it is known that a command is to be run, before it is.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["help"]:
        given = [*given[1:], "--help"]
    app = App() if begin is None else App(begin=begin)
    try:
        result = cli.main(args=given, prog_name="mritk", standalone_mode=False, obj=app)
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        return _explain(_raised(error))
    return result if isinstance(result, int) else ExitCode.OK


def _raised(error: BaseException) -> BaseException:
    """Return what was raised before others made something else of it.

    click takes every EOFError for the end of what somebody types. Its prompts raise Abort
    themselves, without a cause; one with a cause began elsewhere, as in a compiled module that is
    cut short. Of Ctrl-C, compiled modules make errors of their own, pydantic's a SchemaError.
    """
    if isinstance(error, Exception) and Interrupt.was_raised():
        return KeyboardInterrupt()
    cause = error.__cause__
    return cause if isinstance(error, click.Abort) and isinstance(cause, EOFError) else error


def _explain(error: BaseException) -> int:
    """Tell a person about an error, in one line if it is one of ours; return the exit code."""
    code: int = ExitCode.INTERNAL
    if isinstance(error, click.ClickException):
        _show(error)
        code = error.exit_code
    elif isinstance(error, MritkError):
        # One line, also where a name of a file has two.
        say(f"mritk: {error}".replace("\n", "\\n"))
        code = error.exit_code
    elif isinstance(error, (click.Abort, KeyboardInterrupt)):
        say("mritk: interrupted")
        code = ExitCode.INTERRUPTED
    elif isinstance(error, SystemExit):  # a plugin's command left so
        if error.code is None or isinstance(error.code, int):
            code = error.code or ExitCode.OK
        else:
            say(f"mritk: {error.code}")
    elif isinstance(error, OSError) and error.errno in ENVIRONMENT and error.filename is not None:
        say(f"mritk: cannot use {error.filename}: {error.strerror}")
        code = ExitCode.USAGE
    else:
        import traceback

        say("".join(traceback.format_exception(error)).rstrip())
    return code


def _show(error: click.ClickException) -> None:
    """Print what click says of a wrong command line."""
    if isinstance(error, click.NoSuchOption) and (meant := meant_by(error.option_name)):
        error = click.UsageError(f"No such option '{error.option_name}': {meant}", error.ctx)
    if isinstance(error, click.NoSuchOption):
        known = harmless(error.possibilities or ())
        error = click.NoSuchOption(error.option_name, error.message, known, error.ctx)
    text = io.StringIO()
    error.show(text)
    say(text.getvalue().rstrip("\n"))
