"""Compute the tables and figures of docs/findings.md from a results folder.

    python -m benchmarks.findings RESULTS                      print the tables
    python -m benchmarks.findings RESULTS --update docs/findings.md

The second replaces what stands between ``<!-- finding: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import re
from pathlib import Path

import click

from benchmarks.findings.sections import SECTIONS
from benchmarks.findings.trials import Trials
from mritk.errors import Unavailable


@click.command()
@click.argument("results", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--update", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File to update."
)
def main(results: Path, update: Path | None) -> None:
    """Print the tables of the findings whose trials are in RESULTS."""
    trials = Trials.read(results)
    text = update.read_text(encoding="utf-8") if update else ""
    for name, section in SECTIONS.items():
        try:
            table = section(trials)
        except Unavailable as error:
            click.echo(f"{name}: {error}", err=True)
            continue
        click.echo(f"## {name}\n\n{table}\n")
        text = replaced(text, name, table)
    if update:
        update.write_text(text, encoding="utf-8")


def replaced(text: str, name: str, table: str) -> str:
    """Return ``text`` with the table of a finding between its marks; without marks, as it is."""
    marks = re.compile(rf"(<!-- finding: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    return marks.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", text)


if __name__ == "__main__":
    main()
