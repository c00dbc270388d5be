"""``mritk merge``: copy the trials of several results folders into one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from mritk.cli.app import UserPath, json_option
from mritk.cli.tell import echo, echo_json, say
from mritk.errors import ExitCode
from mritk.text.listed import many


@click.command()
@click.argument("sources", type=UserPath(), nargs=-1, required=True)
@click.option(
    "-o",
    "--into",
    type=UserPath(),
    required=True,
    metavar="RESULTS",
    help="Target results folder; may exist.",
)
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be copied, then exit.")
@json_option
def merge(sources: tuple[Path, ...], into: Path, dry_run: bool, as_json: bool) -> int:
    """Merge all trials of SOURCES into one results folder.

    A finished trial replaces a failed one. Two finished trials with the same id but different
    results are a conflict: the first is kept, both are listed, and the exit code is 1, as for
    truncated files. Exit code 4: a file is currently inaccessible; 5: no trials. Kept models and
    explanations follow their trials.
    """
    from mritk.store.folder import ResultsFolder
    from mritk.store.merge import merge as merge_folders

    done = merge_folders([ResultsFolder(s) for s in sources], ResultsFolder(into), dry_run=dry_run)
    if not any(asdict(done).values()):
        say(f"mritk: no trials in {', '.join(map(str, sources))}")
        return ExitCode.NOTHING_TO_DO
    if as_json:
        echo_json(asdict(done))
    else:
        for line in done.conflicts:
            echo(f"conflict: {line} differs from the trial in {into}")
        for line in done.renamed:
            echo(f"same result under another name: {line}; the name in {into} is kept")
        for line in (*done.damaged, *done.unreadable):
            echo(f"skipped: {line}")
        would = "would be copied" if dry_run else "copied"
        echo(f"{many(len(done.copied), 'trial')} {would}, {len(done.same)} already present.")
        if done.modelled:
            echo(f"Models of {many(len(done.modelled), 'trial')} already present {would}.")
        if done.explained:
            echo(f"Explanations of {many(len(done.explained), 'trial')} {would}.")
    return done.exit_code
