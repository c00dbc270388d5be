"""What all commands share: the plugins in use and the way they are told to a person."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mritk.cli.tell import results_alone, warn
from mritk.files.user_path import user_path

if TYPE_CHECKING:
    from mritk.files.workspace import Workspace
    from mritk.plugins.registry import Registry

Option = Callable[[Any], Any]  # what adds an option to a command


@dataclass
class App:
    """One call of the program.

    Attributes:
        plugin_options: What ``-p`` named so far, before and behind the command.
        begin: Called before a command; not for the list of commands and the version.
    """

    plugin_options: list[str] = field(default_factory=list)
    begin: Callable[[], None] = lambda: None

    @cached_property
    def registry(self) -> Registry:
        """The registry, loaded on first use; plugins that failed are reported on stderr once."""
        from mritk.plugins.loaded import explain_failure
        from mritk.plugins.registry import Registry

        with results_alone():
            registry = Registry.load(self.plugin_options, os.environ)
        for plugin in registry.failures:
            warn(explain_failure(plugin))
        return registry

    def workspace(self, *, offline: bool) -> Workspace:
        """Return the workspace of this call, under which the registry looks names up as well."""
        from mritk.files.workspace import Workspace

        self.registry.workspace = Workspace.from_environment(offline=offline)
        return self.registry.workspace


pass_app = click.make_pass_decorator(App, ensure=True)


def _remember(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> None:
    context.ensure_object(App).plugin_options.extend(value)


# It is read before all other options.
plugin_option = click.option(
    "-p",
    "plugins",
    metavar="PLUGIN",
    multiple=True,
    is_eager=True,
    expose_value=False,
    callback=_remember,
    help="Load a plugin: a module, or a file such as ./mine.py. 'no:NAME' excludes one.",
)


class UserPath(click.Path):
    """A path that may begin with ``~``, which shells leave as it is behind ``--option=``.

    A file of another ending than one of ``endings`` is refused; it may have none. A name that this
    system cannot spell is that of no file.
    """

    def __init__(self, endings: tuple[str, ...] = (), **settings: Any) -> None:
        super().__init__(path_type=Path, **settings)
        self.endings = endings

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, with the home folder in place of ``~``."""
        path = user_path(value)
        if self.endings and path.suffix and path.suffix.lower() not in self.endings:
            self.fail(f"{path.name} must end in {' or '.join(self.endings)}", param, ctx)
        try:
            return super().convert(path, param, ctx)
        except UnicodeEncodeError:  # in the command of a trial that was trained elsewhere
            return path


def together(*options: Option) -> Option:
    """Return one decorator for several options; the help lists them in this order."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def results_option(help_text: str, *flags: str) -> Option:
    """Return the option ``--results`` (``-o``), passed to the command as ``folder``."""
    return click.option(
        *flags or ("-o", "--results"),
        "folder",
        type=UserPath(),
        default=Path("mritk-results"),
        show_default=True,
        help=help_text,
    )


results_argument = click.argument("results", type=UserPath(), default=Path("mritk-results"))
offline_option = click.option("--offline", is_flag=True, help="Do not download anything.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
