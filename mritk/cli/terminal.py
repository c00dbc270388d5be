"""Tables for who reads them: a person at a terminal of some width, a file, or another program."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import click

from mritk.cli.app import Option
from mritk.cli.tell import output

wide_option = click.option(
    "--wide", is_flag=True, help="Show all columns, even if wider than the terminal."
)


def format_option(formats: Sequence[str]) -> Option:
    """Return the option ``--format``; whoever is not told gets what suits where it is written."""
    return click.option(
        "--format",
        "style",
        type=click.Choice(formats),
        default=None,
        help="Output format.  [default: plain in a terminal, else github]",
    )


def require_one_format(given: Mapping[str, object]) -> None:
    """Refuse two formats for one output, of which one would silently be left out.

    Args:
        given: By flag, whether it was given.

    Raises:
        click.UsageError: Several were.
    """
    flags = [flag for flag, is_given in given.items() if is_given]
    if len(flags) > 1:
        raise click.UsageError(f"{' and '.join(flags)} ask for two formats; remove one of them")


def require_one_style(options: Mapping[str, Any]) -> None:
    """Refuse ``--json`` beside another ``--format``, before anything is computed.

    Raises:
        click.UsageError: Both were given.
    """
    style = options["style"]
    other = style if style != "json" else None
    require_one_format({"--json": options["as_json"], f"--format {style}": other})


def style_and_width(options: Mapping[str, Any], *, to_file: bool = False) -> tuple[str, int | None]:
    """Return how a table is written, and the width that it must fit; None: any.

    Args:
        options: ``style``, ``wide`` and ``as_json`` as far as the command has them.
        to_file: Whether it is written elsewhere than to the terminal.
    """
    if options.get("as_json"):
        return "json", None
    width = None if to_file else terminal_width()
    style = options.get("style") or ("github" if width is None else "plain")
    return style, None if options.get("wide") else width


def terminal_width() -> int | None:
    """Return how many columns the terminal has that is written to; None where there is none."""
    stream = output()
    if not stream.isatty():
        return None
    try:
        size = os.get_terminal_size(stream.fileno())
    except OSError:
        size = os.terminal_size((80, 24))
    return shutil.get_terminal_size(size).columns  # or as many as COLUMNS says
