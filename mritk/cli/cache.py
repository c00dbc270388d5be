"""``mritk cache``: what mritk keeps on this disk, and how to get rid of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from mritk.cli.app import json_option
from mritk.cli.readable import in_unit
from mritk.cli.tell import echo, echo_json, is_agreed, say
from mritk.errors import ExitCode, UsageError
from mritk.files.draft import drafts_in, is_abandoned
from mritk.files.user_path import user_path

# What people put there by hand, because nobody may fetch it for them.
BY_HAND = ("datasets", "weights")

# What mritk makes, and makes again. 'clear --all' removes nothing else: other folders are of
# plugins, or of whoever set MRITK_HOME to a folder of their own.
MADE = ("apart", "audit", "compiled", "decoded", "features", "unpacked")


@dataclass(frozen=True)
class CacheFolder:
    """A folder in ``MRITK_HOME`` with files at any depth; a link is shown and never followed.

    ``unfinished`` names what is being written in it, or was when its process was killed.
    """

    name: str
    files: int
    bytes: int
    link: bool = False
    unfinished: tuple[str, ...] = ()


@click.group()
def cache() -> None:
    """Show or clear mritk's cached data (decoded images, features, audits) and that of plugins.

    Results do not depend on it. Pretrained weights are in the caches of the libraries
    that download them (Hugging Face, torch).
    """


@cache.command("path")
def path_command() -> None:
    """Print the folder (MRITK_HOME)."""
    echo(_home())


@cache.command("list")
@json_option
def list_command(as_json: bool) -> int:
    """List its contents, with sizes."""
    found = cache_folders(_home())
    if as_json:
        echo_json([asdict(folder) for folder in found])
        return ExitCode.OK
    from tabulate import tabulate

    rows = [[f.name, "link" if f.link else f.files, _size(f.bytes), _note(f)] for f in found]
    rows.append(["total", sum(f.files for f in found), _size(sum(f.bytes for f in found)), ""])
    echo(tabulate(rows, ["folder", "files", "size", ""], disable_numparse=True))
    say(f"in {_home()}")
    return ExitCode.OK


@cache.command("clear")
@click.argument("names", nargs=-1, metavar="[FOLDER]…")
@click.option("--all", "everything", is_flag=True, help="All that mritk made; nothing of plugins.")
@click.option("--unfinished", is_flag=True, help="Only incomplete files of killed processes.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
def clear_command(names: tuple[str, ...], everything: bool, unfinished: bool, yes: bool) -> int:
    """Remove FOLDERs listed by 'mritk cache list', or all that mritk itself made.

    The folders datasets and weights contain manually added files. They, and folders of plugins or
    of your own, are removed only by name. Nothing outside MRITK_HOME is touched; links are
    removed, not their targets.
    """
    home = _home()
    if unfinished:
        if names or everything:
            raise click.UsageError(
                "--unfinished applies to all folders; remove the other arguments"
            )
        return _clear_unfinished(home)
    chosen = _chosen(cache_folders(home), names, everything=everything)
    if not chosen:
        say(f"mritk: nothing to clear in {home}")
        return ExitCode.NOTHING_TO_DO
    _refuse_homes_of_people(home)
    what = ", ".join(f"{folder.name} ({_size(folder.bytes)})" for folder in chosen)
    if not yes:
        agreed = is_agreed(f"Remove {what} from {home}?")
        if agreed is None:
            raise UsageError("nobody answers, so nothing was removed; add --yes to remove unasked")
        if not agreed:
            raise click.Abort
    for folder in chosen:
        _remove(home / folder.name)
    say(f"removed {what} from {home}")
    return ExitCode.OK


def _clear_unfinished(home: Path) -> int:
    """Remove drafts that nobody will complete; nobody is asked, for they are of no use."""
    drafts = [
        home / folder.name / name for folder in cache_folders(home) for name in folder.unfinished
    ]
    abandoned = [draft for draft in drafts if is_abandoned(draft)]
    if living := len(drafts) - len(abandoned):
        say(f"{living} may still be in use (written within a day by another machine) and are kept")
    if not abandoned:
        say(f"mritk: nothing to clear in {home}")
        return ExitCode.NOTHING_TO_DO
    _refuse_homes_of_people(home)
    for draft in abandoned:
        _remove(draft)
    say(f"removed {len(abandoned)} incomplete files from {home}")
    return ExitCode.OK


def cache_folders(home: Path) -> list[CacheFolder]:
    """Return the folders in ``home`` and the links to folders, sorted; hidden ones left aside."""
    if not home.is_dir():
        return []
    children = (child for child in sorted(home.iterdir()) if not child.name.startswith("."))
    return [_measured(child) for child in children if child.is_dir() or child.is_symlink()]


def _measured(folder: Path) -> CacheFolder:
    if folder.is_symlink():
        return CacheFolder(folder.name, 0, 0, link=True)
    files = size = 0
    for root, _, names in os.walk(folder):  # does not follow links
        for name in names:
            try:
                size += Path(root, name).lstat().st_size
            except FileNotFoundError:  # somebody works in there
                continue
            files += 1
    by_hand = folder.name in BY_HAND
    unfinished = () if by_hand else tuple(draft.name for draft in drafts_in(folder))
    return CacheFolder(folder.name, files, size, unfinished=unfinished)


def _chosen(
    found: Sequence[CacheFolder], names: Sequence[str], *, everything: bool
) -> list[CacheFolder]:
    if everything == bool(names):
        raise click.UsageError("specify folders ('mritk cache list' shows them), or --all")
    if everything:
        return [folder for folder in found if folder.name in MADE]
    known = {folder.name: folder for folder in found}
    unknown = [name for name in names if name not in known]
    if unknown:
        there = ", ".join(known) or "none"
        raise UsageError(f"no folder {unknown[0]!r} in {_home()}; available: {there}")
    return [known[name] for name in dict.fromkeys(names)]


def _refuse_homes_of_people(home: Path) -> None:
    """A MRITK_HOME that was set to somebody's own folder must not cost them its contents."""
    real, own = home.resolve(), user_path("~").resolve()
    if real == own or real in own.parents:
        raise UsageError(
            f"MRITK_HOME is {home}, which contains {own}, not created by mritk; nothing was "
            "removed; set MRITK_HOME to a dedicated folder"
        )


def _remove(folder: Path) -> None:
    try:
        if folder.is_symlink() or not folder.is_dir():
            folder.unlink()
        else:
            shutil.rmtree(folder)  # removes links inside, never what they lead to
    except OSError as error:
        raise UsageError(
            f"cannot remove {error.filename or folder}: {error.strerror}; remove it manually"
        ) from error


def _home() -> Path:
    from mritk.files.workspace import Workspace

    return Workspace.from_environment().home


def _note(folder: CacheFolder) -> str:
    if folder.name in BY_HAND:
        return "added manually"
    if folder.name not in MADE:
        return "of a plugin, or your own"
    return f"{len(folder.unfinished)} unfinished" if folder.unfinished else ""


def _size(count: int) -> str:
    """Return bytes as people say them.

    >>> _size(0), _size(1_234_000)
    ('0 B', '1.2 MB')
    """
    size, unit = in_unit(count)
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
