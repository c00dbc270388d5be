"""Classes, patients and sites of one name are one, and what names nothing is none of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mritk.data.samples import Samples
from mritk.errors import DataError
from mritk.reading.spelling import composed, is_missing, one_spelling, spelling_variants
from mritk.tasks.classification import Classification

logger = logging.getLogger("mritk")

# Samples and names in a message.
NAMED = 3


def require_distinct_classes(samples: Samples, name: str) -> None:
    """Refuse classes that are one but for their spelling, or that stand for a missing label.

    Either would be a class of its own in all scores. A person decides, because two spellings may
    also be two classes.

    Raises:
        DataError: There are such; the message says what to type.
    """
    classes = samples.task.classes
    for group in spelling_variants(classes):
        first, *others = group
        renames = " ".join(f"--rename '{other}={first}'" for other in others)
        raise DataError(
            f"dataset {name} has the classes {_quoted(group)}, which differ only in spelling; "
            f"merge them with {renames}, or rename one if they are different"
        )
    for number, label in enumerate(classes):
        if is_missing(label):
            rows = np.flatnonzero(samples.targets == number)
            raise DataError(
                f"dataset {name} has the class {label!r}, which stands for a missing label "
                f"({_some(samples, rows)}); label or remove these, or, if it is a class, rename "
                f"it: --rename '{label}=NAME'"
            )


def with_composed_classes(samples: Samples) -> Samples:
    """Return the samples with class names in the Unicode form NFC.

    Some file systems store the letter é as e and an accent (NFD): to the eye and to the person who
    types it the two are one name.
    """
    old = samples.task.classes
    new = [composed(label) for label in old]
    return samples if new == list(old) else with_classes(samples, new)


def with_classes(samples: Samples, new: Sequence[str]) -> Samples:
    """Return the samples with ``new`` names of their classes, sorted; equal ones are merged."""
    classes = tuple(sorted(set(new)))
    number = np.asarray([classes.index(label) for label in new])
    return replace(samples, task=Classification(classes), targets=number[samples.targets])


def with_one_spelling(samples: Samples, name: str) -> Samples:
    """Return the samples with one spelling for each patient, each site and each covariate's text.

    Sites and texts that stand for a missing value are empty, sites with a warning. Unlike classes,
    spellings are joined, with a warning: two patients in one are never divided, one patient in two
    may be.

    Raises:
        DataError: A patient stands for a missing value.
    """
    unknown = {patient for patient in set(samples.patients or ()) if is_missing(patient)}
    if unknown:
        rows = [row for row, patient in enumerate(samples.patients or ()) if patient in unknown]
        raise DataError(
            f"dataset {name} has the patient {min(unknown)!r}, which stands for a missing value "
            f"({_some(samples, rows)}); add the patient ids, or remove the samples"
        )
    patients = samples.patients and with_spellings_merged(samples.patients, "patients", name)
    sites = samples.sites and with_spellings_merged(_known_sites(samples, name), "sites", name)
    covariates = {
        column: _covariate(np.asarray(values), column, name)
        for column, values in samples.covariates.items()
    }
    if patients is samples.patients and sites == samples.sites and not covariates:
        return samples
    return replace(samples, patients=patients, sites=sites, covariates=covariates)


def _covariate(values: np.ndarray, column: str, name: str) -> Sequence[str] | np.ndarray:
    """Return the texts of a covariate with one spelling each, empty where one is missing."""
    if values.dtype.kind == "f":
        return values
    return with_spellings_merged(_known(values.tolist()), f"values of {column}", name)


def _known(texts: Sequence[str]) -> tuple[str, ...]:
    """Return texts, empty where one stands for a missing value."""
    return tuple("" if is_missing(text) else text for text in texts)


def _known_sites(samples: Samples, name: str) -> tuple[str, ...]:
    sites = samples.sites or ()
    rows = [row for row, site in enumerate(sites) if site and is_missing(site)]
    if rows:
        logger.warning(
            "the site %r of %s stands for a missing value and is taken for none (%s); if it is a "
            "site, rename it in the data",
            *(sites[rows[0]], name, _some(samples, rows)),
        )
    return _known(sites)


def with_spellings_merged(column: Sequence[str], noun: str, name: str) -> Sequence[str]:
    """Return texts with one spelling each, with a warning of ``noun`` of ``name`` if that merges.

    The same column is returned where nothing is merged.
    """
    names = sorted(set(column))
    groups = spelling_variants(names)
    if not groups:
        return column
    more = f", and {len(groups) - NAMED} more" if len(groups) > NAMED else ""
    logger.warning(
        "%s of %s differ only in spelling and are merged: %s%s",
        *(noun, name, "; ".join(_quoted(group) for group in groups[:NAMED]), more),
    )
    spelling: Mapping[str, str] = one_spelling(names)
    return [spelling[value] for value in column]


def _quoted(names: Sequence[str]) -> str:
    return " and ".join(repr(name) for name in names)


def _some(samples: Samples, rows: Sequence[int] | np.ndarray) -> str:
    shown = ", ".join(samples.ids[int(row)] for row in rows[:NAMED])
    return f"{len(rows)} of {len(samples)} samples, such as {shown}"
