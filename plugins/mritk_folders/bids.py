"""Find the scans and targets of a BIDS dataset."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from mritk import (
    DataError,
    PassedOver,
    Samples,
    TextTable,
    Workspace,
    canonical_name,
    is_missing,
    list_folder,
    list_tree,
    read_text_table,
)
from mritk_folders.covariates import covariates, named_columns, require_columns
from mritk_folders.kind import VOLUME_SUFFIXES
from mritk_folders.options import BidsOptions
from mritk_folders.scan_table import ScanTable
from mritk_folders.target_column import read_targets

logger = logging.getLogger("mritk")

ANATOMY, FUNCTIONAL = "anat", "func"
# What is in folders of functional scans; all else is looked for in anatomical ones.
FUNCTIONAL_SUFFIXES = ("bold", "cbv", "sbref")
SCAN = re.compile(r"sub-[^/]*/(?:ses-[^/]*/)?([^/]*)/[^/]*")


def read_bids(folder: Path, options: BidsOptions, workspace: Workspace | None = None) -> Samples:
    """Return the scans ``sub-*/[ses-*/]anat/*_SUFFIX.nii[.gz]`` of a BIDS dataset as samples.

    Those of functional suffixes, such as ``bold``, are looked for in ``func``.

    The target of a scan is that of its participant in ``participants.tsv``; all scans of one
    participant, of whatever session and run, are of one patient, named by the label behind
    ``sub-``. ``derivatives/`` and ``sourcedata/`` are left aside. Ids are paths relative to
    ``folder``.

    Args:
        folder: The root of the dataset.
        options: See :class:`mritk_folders.options.BidsOptions`.

    Raises:
        DataError: The table or the target column cannot be used; rows of one participant differ;
            or table and scans do not agree: participants without a target or scan (unless
            ``missing=drop``), or scans of somebody who is not in the table.
        Unavailable: Scans are links that lead nowhere.
    """
    suffix = options.suffix.removeprefix("_")
    table = read_text_table(folder / "participants.tsv", "\t")
    _check_column(table, options.target, "target")
    further = named_columns(options.covariates)
    require_columns(further, [c for c in table.columns if c != "participant_id"], table.path)
    people = _participants(table, (options.target, options.site or "site", *further))
    place = FUNCTIONAL if suffix in FUNCTIONAL_SUFFIXES else ANATOMY
    scans, elsewhere = _scans(folder, suffix, place)
    strangers = sorted(set(scans) - set(people))
    if strangers:
        raise DataError(
            f"{table.path} has no row for {_listed(strangers)}, who have {suffix} scans; "
            f"{_without_zeros(strangers, people)}add their rows, or move their folders elsewhere"
        )
    kept = _complete(folder, people, scans, options)
    owners = [person for person in kept for _ in scans[person]]
    task, targets = read_targets(
        [people[person][options.target] for person in owners],
        options.task,
        options.target,
        f"{table.path}: column {options.target}",
    )
    site = _site_column(table, people, kept, options.site)
    return ScanTable(
        folder=folder,
        names=[name for person in kept for name in scans[person]],
        targets=targets,
        task=task,
        patients=[person.removeprefix("sub-") for person in owners],
        sites=[people[person][site] for person in owners] if site else None,
        passed_over=[PassedOver(f"outside {place} folders", elsewhere)] if elsewhere else (),
        covariates=covariates(further, [people[person] for person in owners]),
    ).samples(options.slices, options.frames)


def _participants(table: TextTable, used: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the cells of every participant by ``sub-LABEL``.

    A participant may have several rows, such as one per session, that agree in the columns
    ``used``; a missing value agrees with all.
    """
    if "participant_id" not in table.columns:
        raise DataError(
            f"{table.path} has no column participant_id; its columns are {', '.join(table.columns)}"
        )
    people: dict[str, dict[str, str]] = {}
    lines: dict[str, int] = {}
    for row in table.rows:
        person = "sub-" + row.cells["participant_id"].removeprefix("sub-")
        known = people.setdefault(person, dict(row.cells))
        first = lines.setdefault(person, row.line)
        for column in used:
            found, other = known.get(column, ""), row.cells.get(column, "")
            if is_missing(found):
                known[column] = other
            elif not is_missing(other) and canonical_name(found) != canonical_name(other):
                raise DataError(
                    f"{table.path} lines {first} and {row.line}: {person} has {column} {found} "
                    f"and {other}; only one {column} per participant is supported: keep one, or "
                    "use a manifest with a row per scan (manifest:FILE.csv)"
                )
    return people


def _without_zeros(strangers: Sequence[str], people: Collection[str]) -> str:
    """Return what is to be told if a person's row has lost the zeros of its label; else nothing."""
    for person in strangers:
        short = "sub-" + person.removeprefix("sub-").lstrip("0")
        if short in people:
            return (
                f"a spreadsheet may have made {short} of {person}: write participant_id with its "
                "zeros. Else "
            )
    return ""


def _check_column(table: TextTable, column: str, option: str) -> None:
    offered = [name for name in table.columns if name != "participant_id"]
    if column in offered:
        return
    problem = f"{table.path} has no column {column!r}" if column else "no target specified"
    raise DataError(
        f"{problem}; use bids:PATH,{option}=COLUMN with one of its columns: "
        f"{', '.join(offered) or '(none besides participant_id)'}"
    )


def _scans(folder: Path, suffix: str, place: str) -> tuple[dict[str, list[str]], list[str]]:
    """Return the paths of the scans of each participant, sorted, and those outside of ``place``."""
    scans: dict[str, list[str]] = {}
    elsewhere: list[str] = []
    others: set[str] = set()
    for path in sorted(_files_of_participants(folder)):
        found = _suffix_of(path)
        name = path.relative_to(folder).as_posix()
        match = SCAN.fullmatch(name)
        lies = match[1] if match else ""
        if found != suffix:
            others |= {found} if found and lies in (ANATOMY, FUNCTIONAL) else set()
            continue
        if lies != place:
            elsewhere.append(name)
            continue
        person = name.partition("/")[0]
        if not path.name.startswith(f"{person}_"):
            raise DataError(
                f"{folder / name} is in the folder of {person} but is not named after it; rename "
                "or move it, so that its target is unambiguous"
            )
        scans.setdefault(person, []).append(name)
    if not scans:
        there = f"there are {', '.join(sorted(others))}" if others else "there are none"
        raise DataError(
            f"no scans sub-*/[ses-*/]{place}/*_{suffix}.nii.gz in {folder} ({there}); specify the "
            "scan type with suffix=…"
        )
    return scans, elsewhere


def _files_of_participants(folder: Path) -> Iterator[Path]:
    for person in list_folder(folder).folders:
        if person.path.name.startswith("sub-"):
            for inner in list_tree(person.path).walk():
                yield from inner.files


def _suffix_of(path: Path) -> str:
    """Return the BIDS suffix of a NIfTI file, else nothing."""
    for extension in VOLUME_SUFFIXES:
        if path.name.endswith(extension) and not path.name.startswith("."):
            return path.name.removesuffix(extension).rpartition("_")[2]
    return ""


def _complete(
    folder: Path,
    people: dict[str, dict[str, str]],
    scans: dict[str, list[str]],
    options: BidsOptions,
) -> list[str]:
    """Return who has a target and a scan, and refuse or tell who has not."""
    unseen = [person for person in people if person not in scans]
    untold = [person for person, row in people.items() if is_missing(row[options.target])]
    reasons = [
        f"{len(found)} without {what} ({_listed(found)})"
        for found, what in ((untold, options.target), (unseen, f"a {options.suffix} scan"))
        if found
    ]
    if not reasons:
        return sorted(people)
    if options.missing == "refuse":
        raise DataError(
            f"{folder}: of {len(people)} participants, {' and '.join(reasons)}; fill in missing "
            "values, or drop these participants with missing=drop"
        )
    kept = sorted(set(people) - set(unseen) - set(untold))
    if not kept:
        raise DataError(f"{folder}: none of {len(people)} participants has both target and scan")
    logger.warning(
        "bids:%s: %d of %d participants dropped: %s",
        folder.resolve().name,
        len(people) - len(kept),
        len(people),
        " and ".join(reasons),
    )
    return kept


def _site_column(
    table: TextTable, people: dict[str, dict[str, str]], kept: Sequence[str], wanted: str
) -> str:
    """Return the column of sites, or nothing if there is none that can be used."""
    column = wanted or "site"
    if wanted:
        _check_column(table, wanted, "site")
    elif column not in table.columns:
        return ""
    unknown = [person for person in kept if is_missing(people[person][column])]
    if not unknown:
        return column
    if wanted:
        raise DataError(
            f"{table.path} has no {column} for {_listed(unknown)}; fill it in, or remove "
            f"site={column}"
        )
    logger.warning(
        "%s: sites are ignored, because %d of %d participants have none (%s)",
        table.path.name,
        len(unknown),
        len(kept),
        _listed(unknown),
    )
    return ""


def _listed(people: Sequence[str]) -> str:
    more = f", and {len(people) - 10} more" if len(people) > 10 else ""
    return ", ".join(people[:10]) + more
