"""The page of all commands and exit codes, from the click commands themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from mritk import errors
from mritk.cli.main import cli
from mritk.errors import ExitCode, MritkError
from reference_pages.docstring import Docstring

HEAD = """
# Commands

What `mritk COMMAND --help` says (`-h` for short), command by command. Plugins may add commands:
[how](../howto/command.md).
"""

# Characters that would be read as markup.
MARKUP = re.compile(r"([\\`*_<\[\]])")
QUOTED = re.compile(r"'(mritk [^']+)'")
NO_WRAP = "\b"


def contexts(command: click.Command = cli, name: str = "mritk") -> Iterator[click.Context]:
    """Yield a context for ``command`` and for each command below it, depth first."""
    yield from _contexts(command, name, None)


def _contexts(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[click.Context]:
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    yield context
    if isinstance(command, click.Group):
        for below, subcommand in command.commands.items():
            yield from _contexts(subcommand, below, context)


def gaps(command: click.Command = cli) -> list[str]:
    """Return commands and options without a help text, and exit codes without a meaning."""
    found = []
    for context in contexts(command):
        if not context.command.help:
            found.append(f"{context.command_path}: no help text")
        for parameter in context.command.params:
            if isinstance(parameter, click.Option) and not parameter.help:
                found.append(f"{context.command_path} {parameter.opts[0]}: no help text")
    return found + exit_code_gaps(ExitCode)


def exit_code_gaps(codes: type[ExitCode]) -> list[str]:
    """Return the members of an enumeration of exit codes that are under no ``Attributes``."""
    described = Docstring.of(codes).entries("Attributes")
    return [f"exit code {code.name}: no meaning" for code in codes if code.name not in described]


def render() -> str:
    """Return the page as Markdown."""
    return "\n\n".join([HEAD.strip(), *map(_section, contexts()), _exit_codes()]) + "\n"


def _section(context: click.Context) -> str:
    command = context.command
    depth = context.command_path.count(" ")
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    blocks = [
        f"{'#' * max(2, depth + 1)} {context.command_path}",
        f"```text\n{usage}\n```",
        _help_text(command.help or ""),
    ]
    for parameter in command.params:
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)):
            blocks.append(f"`{record[0]}`\n:   {_inline(' '.join(record[1].split()))}")
    if command.epilog and command is not cli:
        blocks.append(_help_text(command.epilog))
    return "\n\n".join(blocks)


def _help_text(text: str) -> str:
    """The paragraphs of a help text; those that click would not wrap become code."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        f"```sh\n{paragraph.strip().removeprefix(NO_WRAP).strip()}\n```"
        if paragraph.strip().startswith(NO_WRAP)
        else _inline(paragraph)
        for paragraph in paragraphs
    )


def _inline(text: str) -> str:
    """Text without markup, in which calls of the program are code."""
    parts = QUOTED.split(text)
    return "".join(
        f"`{part}`" if position % 2 else MARKUP.sub(r"\\\1", part)
        for position, part in enumerate(parts)
    )


def _exit_codes() -> str:
    described = Docstring.of(ExitCode).entries("Attributes")
    rows = [
        f"| {code.value} | {described.get(code.name, '').replace(chr(10), ' ')} "
        f"| {', '.join(f'`{kind.__name__}`' for kind in _raising(code))} |"
        for code in ExitCode
    ]
    head = "| code | meaning | errors |\n|---|---|---|"
    introduction = Docstring.of(ExitCode).text
    return "\n\n".join(["## Exit codes", introduction, "\n".join([head, *rows])])


def _raising(code: ExitCode) -> list[type[MritkError]]:
    return [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, MritkError) and kind.exit_code is code
    ]
