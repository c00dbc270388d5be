"""A folder of DICOM as samples under pseudonyms."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from mritk import (
    Classification,
    DataError,
    Recent,
    Samples,
    Workspace,
    one_spelling,
    sha256_of,
)
from mritk_dicom.class_folders import class_files, passed_over
from mritk_dicom.patient_rule import PatientRule
from mritk_dicom.pixels import read_volume
from mritk_dicom.place import affine_of, spacing_of, unevenness
from mritk_dicom.pseudonyms import pseudonyms
from mritk_dicom.series import Series, group_series

logger = logging.getLogger("mritk")

# Threads work on neighbouring slices, so that a few series are in use at a time.
VOLUMES = 4


@dataclass(frozen=True)
class NamedSeries:
    """A series with the pseudonyms under which the world knows it; None: unknown."""

    id: str
    patient: str | None
    site: str | None
    series: Series


def find_series(
    folder: Path, rule: PatientRule = "id", classes: Sequence[str] = ()
) -> list[NamedSeries]:
    """Return all series under ``folder``, sorted by pseudonym; see :func:`read_collection`.

    The site is the InstitutionName if every file states one and those of a series agree, else
    likewise the StationName, else unknown. Names that differ in spelling only
    (:func:`mritk.canonical_name`) are one.

    Raises:
        DataError: See :func:`mritk_dicom.class_folders.class_files` and
            :func:`mritk_dicom.series.group_series`.
        Unavailable: A file is a link that leads nowhere, or a decoder is not installed.
    """
    return _named(folder, group_series(class_files(folder, classes).files, rule), rule)


def _named(folder: Path, found: Sequence[Series], rule: PatientRule) -> list[NamedSeries]:
    """Return series with their pseudonyms, sorted by these."""
    site_of = _sites(found)
    of_patient: dict[str, dict[str, Series]] = {}
    for series in found:
        of_patient.setdefault(series.patient, {})["\0".join(series.key)] = series
    known = rule != "none"
    if rule == "id" and len(of_patient) == 1:
        logger.warning(
            "%s: all files have the same PatientID, as written by some anonymisers; if files are "
            "CLASS/PATIENT/…/file, add ,patient=folder",
            folder.name,
        )
    patients = dict(pseudonyms(of_patient, "patient-{:04d}")) if known else {"": None}
    form = "{}/series-{{:02d}}" if known else "series-{{:04d}}"
    named = [
        NamedSeries(name, patients[patient], site_of(own[key]), own[key])
        for patient, own in of_patient.items()
        for key, name in pseudonyms(own, form.format(patients[patient])).items()
    ]
    return sorted(named, key=lambda series: series.id)


def read_collection(
    folder: Path,
    workspace: Workspace | None = None,
    *,
    slices: int | Literal["all"] = 0,
    classes: Sequence[str] = (),
    rule: PatientRule = "id",
) -> Samples:
    """Return the series under ``folder``, or slices of them, as samples.

    Ids are ``patient-0001/series-01``, or ``series-0001`` without patients, and, for slices,
    ``patient-0001/series-01#0``, … in order.

    Args:
        folder: The root of the tree, see :func:`mritk_dicom.class_folders.class_files`.
        workspace: Not used.
        slices: 0: each series is a volume (D, H, W). K: K slices of each, evenly spaced over its
            central 60 %. ``all``: every slice.
        classes: The folders that are classes; empty: the layout tells.
        rule: Who the patients are, see :func:`mritk_dicom.patient_rule.patient_of`.

    Raises:
        DataError: See :func:`find_series`; or a series has too few slices.
        Unavailable: A file is a link that leads nowhere, or a decoder is not installed.
    """
    tree = class_files(folder, classes)
    found = _named(folder, group_series(tree.files, rule), rule)
    volume: Recent[int, np.ndarray] = Recent(lambda n: read_volume(found[n].series.slices), VOLUMES)
    digest = _digests(found)
    if slices == 0:
        rows = [(number, -1) for number in range(len(found))]
        ids = [named.id for named in found]
    else:
        chosen = [_slice_rows(named.series, slices) for named in found]
        rows = [(number, row) for number, own in enumerate(chosen) for row in own]
        ids = [f"{found[n].id}#{k}" for n, own in enumerate(chosen) for k in range(len(own))]

    stated = [affine_of(named.series.slices) for named in found]

    def refuse_uneven(number: int) -> None:
        how = unevenness(found[number].series.slices) if stated[number] is not None else ""
        if how:
            raise DataError(
                f"its slices are unevenly spaced ({how}), so its voxels have no place in mm; "
                "add missing slices, remove the series, or take images with ,slices=K; 'python -m "
                "mritk_dicom PATH' tells its folder"
            )

    def read(i: int) -> np.ndarray:
        number, row = rows[i]
        if slices == 0:
            refuse_uneven(number)
            return volume(number)
        return volume(number)[row]

    def content(i: int) -> str:
        number, row = rows[i]
        whole = digest(number)
        return whole if slices == 0 else _sha256(f"{whole} slice {row}")

    places = [place for place in stated if place is not None]
    are_placed = slices == 0 and len(places) == len(found)

    def affine(i: int) -> np.ndarray:
        refuse_uneven(i)
        return places[i]

    # Of a single slice the thickness is not known. Of uneven ones it is the mean, and none is read.
    are_thick = are_placed and all(len(named.series.slices) > 1 for named in found)
    owners = [found[number] for number, _ in rows]
    return Samples(
        ids=ids,
        targets=np.asarray([tree.classes.index(named.series.label) for named in owners]),
        task=Classification(tree.classes),
        read=read,
        spatial_dims=3 if slices == 0 else 2,
        digest=content,
        patients=None if rule == "none" else [named.patient or "" for named in owners],
        sites=[named.site or "" for named in owners] if found[0].site else None,
        splits=[named.series.part for named in owners] if found[0].series.part else None,
        passed_over=passed_over(tree),
        affine=affine if are_placed else None,
        spacing=np.stack([spacing_of(place) for place in places]) if are_thick else None,
        scans=None if slices == 0 else [named.id for named in owners],
    )


def _sites(found: Sequence[Series]) -> Callable[[Series], str | None]:
    """Return a function that gives the pseudonym of a series' site; None: some have none."""
    for attribute in ("institution", "station"):
        if all(stated := [series.stated(attribute) for series in found]):
            spelling = one_spelling(sorted(stated))
            if variants := len(spelling) - len(set(spelling.values())):
                logger.warning(
                    "%d sites differ from others only in spelling and are merged", variants
                )
            names = pseudonyms(spelling.values(), "site-{}")
            return lambda series: names[spelling[series.stated(attribute)]]
    return lambda series: None


def _slice_rows(series: Series, slices: int | Literal["all"]) -> list[int]:
    """Return which slices of a series are samples, ascending."""
    length = len(series.slices)
    if slices == "all":
        return list(range(length))
    most = max(1, length * 6 // 10)
    if slices > most:
        raise DataError(
            f"the central 60 % of the {length} slices of the series in {series.folder} has fewer "
            f"than {slices}; use slices={most} or fewer, or remove the series"
        )
    # Row length × (0.2 + 0.6 × (k + ½) / slices) in whole numbers, which cannot collide.
    return [length * (2 * slices + 6 * k + 3) // (10 * slices) for k in range(slices)]


def _digests(found: Sequence[NamedSeries]) -> Callable[[int], str]:
    """Return the SHA-256 of the files of a series, in order, as a function of its number."""

    @cache
    def digest(number: int) -> str:
        try:
            return _sha256(*(sha256_of(header.path) for header in found[number].series.slices))
        except OSError as error:
            # The reason of an unreadable sample is stored; the name of the file must not be.
            logger.warning("cannot read a file of %s: %s", found[number].id, error)
            raise DataError(f"a file cannot be read: {error.strerror}") from None

    return digest


def _sha256(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
