"""Tell the patients of a dataset that does not name them."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from mritk.data.samples import Samples
from mritk.errors import DataError, Unavailable, UsageError
from mritk.files.user_path import user_path
from mritk.reading.spelling import composed, is_missing
from mritk.reading.text_table import read_text_table
from mritk.text.listed import first_few, many

logger = logging.getLogger("mritk")

NAMED = 3  # examples in a message

_Line = dict[str, str]  # of a table, by column


@dataclass(frozen=True)
class PatientRule:
    """Where patients come from if the dataset does not name them; at most one of three.

    Attributes:
        regex: A regular expression that is searched in each sample id. The patient is the group
            named ``patient``, else the first group, else the whole match.
        table: Path of a CSV or TSV file with the columns ``id`` (or ``path``), ``patient`` and
            perhaps ``site``, one line per sample, or per file that samples are parts of. Ids may
            have other slashes, or another Unicode form.
        none: The user states that there are no patient ids.
    """

    regex: str = ""
    table: str = ""
    none: bool = False

    def __post_init__(self) -> None:
        given = {
            "--patient-regex": self.regex,
            "--patients": self.table,
            "--no-patient-ids": self.none,
        }
        flags = [flag for flag, value in given.items() if value]
        if len(flags) > 1:
            raise UsageError(f"{' and '.join(flags)} are mutually exclusive; use one of them")
        try:
            re.compile(self.regex)
        except re.error as error:
            raise UsageError(
                f"--patient-regex {quote(self.regex)} is not a valid regular expression: {error}"
            ) from error


def with_patients(samples: Samples, rule: PatientRule, name: str) -> Samples:
    """Return the samples with the patients that the rule tells.

    Args:
        samples: The samples of one dataset.
        rule: Where patients come from.
        name: Name of the dataset, for messages.

    Raises:
        UsageError: A regex or a table for a dataset that names its patients itself.
        DataError: An id that the regex does not match; a table that does not list every sample
            once, and nothing else; fewer than two patients.
        Unavailable: There is no such table.
    """
    if not (rule.regex or rule.table):
        return samples
    if samples.patients is not None:
        flag = "--patient-regex" if rule.regex else "--patients"
        raise UsageError(f"dataset {name} already has patient ids; remove {flag}")
    told = (
        _from_regex(samples, rule.regex, name) if rule.regex else _from_table(samples, rule, name)
    )
    found = set(told.patients or ())
    if len(found) < 2:
        source = "--patient-regex" if rule.regex else rule.table
        raise DataError(
            f"{source} assigns all {len(samples)} samples of {name} to one patient, "
            f"{next(iter(found), '')!r}, so no split is possible; correct it for ids such as "
            f"{samples.ids[0]!r}"
        )
    if rule.regex and len(found) == len(samples):
        logger.warning(
            "--patient-regex assigns every sample of %s to a different patient (%s); change it "
            "if patients have several samples",
            *(name, ", ".join((told.patients or ())[:NAMED])),
        )
    return told


def require_patients(samples: Samples, rule: PatientRule, name: str) -> None:
    """Refuse a dataset without patients, unless a test part is given or the user accepts it.

    Raises:
        DataError: Nothing is known of patients, nobody said that so it is, and the test part would
            have to be drawn.
    """
    official = samples.splits is not None and "test" in samples.splits
    if samples.patients is not None or rule.none or official:
        return
    raise DataError(
        f"dataset {name} has no patient ids; images of one patient in training and test cause "
        "leakage. Use --patient-regex REGEX to extract the patient from ids such as "
        f"{samples.ids[0]!r}, --patients FILE.csv with the columns id and patient, or "
        "--no-patient-ids to accept an image-level split"
    )


def _from_regex(samples: Samples, regex: str, name: str) -> Samples:
    pattern = re.compile(regex)
    group = "patient" if "patient" in pattern.groupindex else min(pattern.groups, 1)
    matches = [pattern.search(id_) for id_ in samples.ids]
    patients = [str(match.group(group) or "") if match else "" for match in matches]
    without = [id_ for id_, patient in zip(samples.ids, patients, strict=True) if not patient]
    if without:
        raise DataError(
            f"--patient-regex {quote(regex)} does not match {len(without)} of {len(samples)} ids "
            f"of {name}, such as {first_few(without)}; change it to match every id"
        )
    return replace(samples, patients=patients)


def _from_table(samples: Samples, rule: PatientRule, name: str) -> Samples:
    path = user_path(rule.table)
    table = _respelt(_read_table(path), samples, path)
    ids = _named_in_tables(samples, table)
    absent = [id_ for id_ in dict.fromkeys(ids) if id_ not in table]
    unknown = sorted(table.keys() - set(ids))
    for wrong, what in (
        (absent, f"has no row for {len(absent)} of {len(samples)} samples of {name}"),
        (unknown, f"has {many(len(unknown), 'row')} for samples that are not in {name}"),
    ):
        if wrong:
            raise DataError(
                f"{path} {what}: {first_few(wrong)}; it must list every sample once, by its id, "
                f"such as {samples.ids[0]!r}"
            )
    rows = [table[id_] for id_ in ids]
    sites = [row["site"] for row in rows] if "site" in rows[0] else samples.sites
    if samples.sites is not None and tuple(sites or ()) != samples.sites:
        raise DataError(f"{path} and dataset {name} disagree on sites; remove the column site")
    return replace(samples, patients=[row["patient"] for row in rows], sites=sites)


def _respelt(table: dict[str, _Line], samples: Samples, path: Path) -> dict[str, _Line]:
    """Return the lines by ids as samples have them, if only slashes or the Unicode form differ.

    Windows writes other slashes, and a Mac writes accents as characters of their own.

    Raises:
        DataError: Several lines, or several ids, differ by no more.
    """
    known = {*samples.ids, *(samples.scans or ()), *(samples.made_from or ())}
    strange = [id_ for id_ in table if id_ not in known]
    if not strange:
        return table
    written, meant = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for ids, by_form in ((strange, written), (known - table.keys(), meant)):
        for id_ in ids:
            by_form[composed(id_.replace("\\", "/"))].append(id_)
    spelling = {}
    for form in written.keys() & meant.keys():
        if len(written[form]) > 1 or len(meant[form]) > 1:
            raise DataError(
                f"{path}: slashes and Unicode forms leave open which sample is meant by "
                f"{written[form][0]!r}; write ids as the samples have them, such as "
                f"{min(meant[form])!r}"
            )
        spelling[written[form][0]] = meant[form][0]
    return {spelling.get(id_, id_): line for id_, line in table.items()}


def _named_in_tables(samples: Samples, table: Mapping[str, object]) -> Sequence[str]:
    """Return the id under which a table knows each sample: of a made one, that of its origin.

    Slices and frames are listed one by one, or by the file that they are of.
    """
    if samples.scans is not None and any(scan in table for scan in samples.scans):
        return samples.scans
    made_from = samples.made_from or [""] * len(samples)
    return [of or id_ for of, id_ in zip(made_from, samples.ids, strict=True)]


def _read_table(path: Path) -> dict[str, _Line]:
    """Return the lines of a table by sample id, each with ``patient`` and perhaps ``site``.

    Raises:
        Unavailable: There is no such file.
        DataError: See :func:`mritk.reading.text_table.read_text_table`; or it lacks a column or a
            value, or has an id twice.
    """
    if not path.is_file():
        raise Unavailable(
            f"no file {path}; --patients requires a table with the columns id and patient"
        )
    table = read_text_table(path, lower_names=True)
    key = "id" if "id" in table.columns else "path"
    if key not in table.columns or "patient" not in table.columns:
        raise DataError(
            f"{path} has the columns {', '.join(table.columns)}; required: id (or path) and "
            "patient; optional: site"
        )
    wanted = [column for column in (key, "patient", "site") if column in table.columns]
    lines: dict[str, _Line] = {}
    for row in table.rows:
        cells = {column: row.cells[column] for column in wanted}
        for column, cell in cells.items():
            if not cell or (column != key and is_missing(cell)):
                what = f"is {cell!r}, which stands for a missing value" if cell else "is empty"
                raise DataError(f"{path} line {row.line}: {column} {what}; fill it in")
        id_ = cells.pop(key)
        if id_ in lines:
            raise DataError(f"{path} line {row.line}: duplicate id {id_}; remove one")
        lines[id_] = cells
    return lines
