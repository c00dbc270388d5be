"""Paths as they are typed: what is shown can be typed again."""

from __future__ import annotations

import shlex
import subprocess

import click
import pytest

from mritk.files.user_path import as_typed


@pytest.mark.parametrize(
    "path", ["results", "a b", "-o", "--help", "it's #1 %", "$HOME", "ä/🧠", "\\ `date`", "~"]
)
def test_a_path_that_is_shown_is_typed_as_an_argument(path):
    line = f"printf %s {as_typed(path)}"
    assert subprocess.check_output(["sh", "-c", line], text=True).removeprefix("./") == path
    command = click.Command("c", params=[click.Argument(["given"]), click.Option(["-o"])])
    with command.make_context("c", shlex.split(as_typed(path))) as context:
        assert context.params["given"].removeprefix("./") == path
