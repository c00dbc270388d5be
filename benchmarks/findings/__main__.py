"""Run the commands of a page again, and put what they print below them.

    python -m benchmarks.findings docs/findings.md      in the folder that holds mritk-results

A command is a line ``mritk …`` in a block of its own, followed by ``<!-- output -->`` and
``<!-- end of output -->``. Where a command fails, for want of trials, what stood there stays.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click

BEGIN, END = "<!-- output -->", "<!-- end of output -->"
SHOWN = re.compile(rf"(```sh\n(mritk [^`]+)\n```\n+{BEGIN}\n).*?({END})", re.DOTALL)


@click.command()
@click.argument("page", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(page: Path) -> None:
    """Renew the outputs in PAGE."""
    page.write_text(SHOWN.sub(_renewed, page.read_text(encoding="utf-8")), encoding="utf-8")


def _renewed(found: re.Match[str]) -> str:
    _, *arguments = shlex.split(found[2].replace("\\\n", " "))
    ended = subprocess.run(
        [sys.executable, "-m", "mritk", *arguments], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        click.echo(f"{found[2]}\n  {ended.stderr.strip()}", err=True)
        return found[0]
    return f"{found[1]}\n{ended.stdout.strip()}\n\n{found[3]}"


if __name__ == "__main__":
    main()
