"""Files of one acquisition, in anatomical order and of one geometry."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mritk import ClassFile, DataError, is_missing, one_spelling
from mritk_dicom.header import Header, read_header
from mritk_dicom.patient_rule import PatientRule, patient_of

logger = logging.getLogger("mritk")

# Direction cosines are written with few digits; this is about 0.06°.
SAME_DIRECTION = 1e-3

# Slices closer than this, in mm, are at one position.
SAME_POSITION = 0.01

# A gap so many times the usual one is a missing slice.
WIDE = 1.5


@dataclass(frozen=True)
class Series:
    """The slices of one series in one class folder, in order.

    Attributes:
        slices: D headers of one size, orientation and photometric interpretation.
        label: The class.
        part: The official part; empty: none.
    """

    slices: tuple[Header, ...]
    label: str
    part: str

    @property
    def patient(self) -> str:
        """Who the rule says, which must not leave this package; empty: nobody is known."""
        return self.slices[0].patient

    def stated(self, attribute: str) -> str:
        """Return an attribute of the headers, if all files state the same, else nothing.

        Of several spellings it is the first; ``N/A`` and the like state nothing.
        """
        names = one_spelling(sorted({getattr(header, attribute) for header in self.slices}))
        first = next(iter(names))
        return "" if len(set(names.values())) > 1 or is_missing(first) else first

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells the series from others of the patient."""
        return self.slices[0].series, self.part, self.label

    @property
    def folder(self) -> Path:
        """The innermost folder that holds all the files, for messages on stderr only."""
        return folder_of(self.slices)


def folder_of(headers: Sequence[Header]) -> Path:
    """Return the innermost folder that holds all the files."""
    return Path(os.path.commonpath([header.path.parent for header in headers]))


def group_series(files: Iterable[ClassFile], rule: PatientRule = "id") -> list[Series]:
    """Read all headers and return the series.

    A series is what has one patient and one SeriesInstanceUID in one class of one part. Patients
    that differ in spelling only (:func:`mritk.canonical_name`) are one, with a warning.

    Args:
        files: The files.
        rule: Who their patients are, see :func:`mritk_dicom.patient_rule.patient_of`.

    Raises:
        DataError: See :func:`mritk_dicom.header.read_header`,
            :func:`mritk_dicom.patient_rule.patient_of` and :func:`in_order`.
        Unavailable: A decoder is not installed.
    """
    found = [(file, read_header(file.path)) for file in files]
    patients = [patient_of(file, header, rule) for file, header in found]
    spelling = one_spelling(sorted(set(patients)))
    variants = len(spelling) - len(set(spelling.values()))
    if variants:
        logger.warning(
            "%d patients differ from others only in spelling and are merged; 'python -m "
            "mritk_dicom PATH' lists all",
            variants,
        )
    groups: dict[tuple[str, str, str, str], list[Header]] = {}
    for (file, header), patient in zip(found, patients, strict=True):
        one = replace(header, patient=spelling[patient])
        groups.setdefault((one.patient, one.series, file.part, file.label), []).append(one)
    return [
        Series(in_order(headers), label, part) for (_, _, part, label), headers in groups.items()
    ]


def in_order(headers: Sequence[Header]) -> tuple[Header, ...]:
    """Return the slices of a series from the first to the last along its normal.

    The normal is the cross product of the directions of rows and columns (DICOM PS3.3, C.7.6.2):
    for axial slices it runs from inferior to superior. Slices are sorted by the projection of
    ImagePositionPatient on it, or, if a file lacks position or orientation, by InstanceNumber.

    Raises:
        DataError: Sizes, pixel spacings, orientations or photometric interpretations differ; two
            slices are at one position or have one number; there is nothing to sort by.
    """
    _check_alike(headers)
    if len(headers) == 1:
        return tuple(headers)
    depths = _depths(headers)
    order = sorted(range(len(headers)), key=lambda i: depths[i])
    gaps = np.diff([depths[i] for i in order])
    if gaps.min() < SAME_POSITION:
        twice = [headers[order[int(gaps.argmin()) + step]].path.name for step in (0, 1)]
        raise DataError(
            f"the series in {folder_of(headers)} has two slices at one position ({twice[0]}, "
            f"{twice[1]}); remove duplicates, and store each echo or time point as a separate "
            "series"
        )
    if gaps.max() > WIDE * np.median(gaps):
        logger.warning(
            "the series in %s has a gap of %.3g between slices %.3g apart; slices may be missing",
            *(folder_of(headers), gaps.max(), np.median(gaps)),
        )
    return tuple(headers[i] for i in order)


def _check_alike(headers: Sequence[Header]) -> None:
    def shown(header: Header) -> dict[str, str]:
        return {
            "size": f"{header.rows} × {header.columns}",
            # Writers round, and some leave it out.
            "pixel spacing": " × ".join(f"{mm:.3g} mm" for mm in header.spacing or ()),
            "photometric interpretation": header.photometric,
        }

    first = headers[0]
    for other in headers[1:]:
        for what, value in shown(other).items():
            if value and shown(first)[what] and value != shown(first)[what]:
                raise DataError(
                    f"the series in {folder_of(headers)} has slices of different {what} "
                    f"({first.path.name}: {shown(first)[what]}, {other.path.name}: {value}); move "
                    "files of other series elsewhere"
                )


def _depths(headers: Sequence[Header]) -> list[float]:
    """Return what to sort by: mm along the normal, or instance numbers."""
    placed = [(h.orientation, h.position) for h in headers]
    if all(orientation and position for orientation, position in placed):
        orientations = np.array([orientation for orientation, _ in placed])
        _check_orientations(headers, orientations)
        normal = np.cross(orientations[0][:3], orientations[0][3:])
        return (np.array([position for _, position in placed]) @ normal).tolist()
    numbers = [header.number for header in headers]
    if None in numbers:
        raise DataError(
            f"the series in {folder_of(headers)} cannot be sorted: files such as "
            f"{headers[numbers.index(None)].path.name} lack position and InstanceNumber; fix "
            "them, or remove the series"
        )
    return [float(number) for number in numbers if number is not None]


def _check_orientations(headers: Sequence[Header], orientations: np.ndarray) -> None:
    row, column = orientations[0][:3], orientations[0][3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column), np.linalg.norm(np.cross(row, column))
    if not np.allclose(lengths, 1, atol=0.01):
        raise DataError(
            f"the series in {folder_of(headers)} has an invalid ImageOrientationPatient "
            "(directions not perpendicular); fix its files, or remove the series"
        )
    turned = np.flatnonzero(np.abs(orientations - orientations[0]).max(axis=1) > SAME_DIRECTION)
    if len(turned):
        raise DataError(
            f"the series in {folder_of(headers)} has slices of different orientation "
            f"({headers[0].path.name}, {headers[turned[0]].path.name}), like a localizer; remove "
            "it, or store each orientation as a separate series"
        )
