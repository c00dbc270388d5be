"""Tables for who reads them: a person at a terminal of some width, a file, or another program."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from mritk.cli.app import Option

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
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
