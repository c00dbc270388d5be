"""What one DICOM file says of itself, without its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread

from mritk import DataError, Unavailable, one_line
from mritk_dicom.decoders import missing_decoder

GREY = ("MONOCHROME1", "MONOCHROME2")
TAGS = [
    "PatientID",
    "SeriesInstanceUID",
    "InstitutionName",
    "StationName",
    "Modality",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "BitsStored",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "InstanceNumber",
    "PixelSpacing",
]

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Header:
    """The attributes of one single-frame grey image.

    Attributes:
        path: The file.
        patient: PatientID without surrounding blanks; empty: not stated.
        series: SeriesInstanceUID.
        institution: InstitutionName; empty: not stated.
        station: StationName; empty: not stated.
        rows: Height in pixels.
        columns: Width in pixels.
        photometric: ``MONOCHROME1`` (high values are dark) or ``MONOCHROME2``.
        orientation: Direction of the rows and of the columns, 6 direction cosines to the left,
            posterior and superior; None: not stated.
        position: Centre of the first pixel in mm, in these directions; None: not stated.
        number: InstanceNumber; None: not stated.
        spacing: Distance of rows and of columns in mm; None: not stated.
    """

    path: Path
    patient: str
    series: str
    institution: str
    station: str
    rows: int
    columns: int
    photometric: str
    orientation: Numbers | None
    position: Numbers | None
    number: int | None
    spacing: Numbers | None = None


def read_header(path: Path) -> Header:
    """Return the header of a DICOM file.

    Raises:
        DataError: It cannot be parsed, lacks SeriesInstanceUID, holds no image, or one in colour or
            of several frames.
        Unavailable: A decoder for its pixels is not installed.
    """
    try:
        return _header(path)
    except (DataError, Unavailable, MemoryError):
        raise
    except Exception as error:  # pydicom raises whatever a malformed element makes it trip over
        raise DataError(
            f"{path} is malformed DICOM: {one_line(error)}; repair or remove it"
        ) from error


def _header(path: Path) -> Header:
    data = dcmread(path, stop_before_pixels=True, specific_tags=list(TAGS))
    rows, columns = int(data.get("Rows") or 0), int(data.get("Columns") or 0)
    if not (rows and columns):
        kind = _text(data, "Modality") or "unknown"
        raise DataError(
            f"{path} contains no image (Rows or Columns missing; modality {kind}); move it out of "
            "the class folders"
        )
    photometric = _text(data, "PhotometricInterpretation")
    if photometric not in GREY or int(data.get("SamplesPerPixel") or 1) != 1:
        raise DataError(
            f"{path} is not a grey image (PhotometricInterpretation {photometric or 'missing'}); "
            "move screenshots and colour maps out of the class folders"
        )
    frames = int(data.get("NumberOfFrames") or 1)
    if frames != 1:
        raise DataError(
            f"{path} has {frames} frames; only single-frame DICOM is supported: convert it "
            "(dcm2niix writes NIfTI for folder:PATH), or move it elsewhere"
        )
    syntax = str(data.file_meta.get("TransferSyntaxUID") or "")
    if missing := missing_decoder(syntax, int(data.get("BitsStored") or 16)):
        raise Unavailable(f"{path} cannot be decoded: {missing}")
    number = data.get("InstanceNumber")
    header = Header(
        path=path,
        patient=_text(data, "PatientID"),
        series=_text(data, "SeriesInstanceUID"),
        institution=_text(data, "InstitutionName"),
        station=_text(data, "StationName"),
        rows=rows,
        columns=columns,
        photometric=photometric,
        orientation=_numbers(data, "ImageOrientationPatient", 6),
        position=_numbers(data, "ImagePositionPatient", 3),
        number=None if number in (None, "") else int(number),
        spacing=_spacing(data),
    )
    if not header.series:
        raise DataError(
            f"{path} has no SeriesInstanceUID, which is required to group slices; fix or remove "
            "the file"
        )
    return header


def _text(data: Any, name: str) -> str:
    # DICOM pads texts with blanks or, in UIDs, a zero byte; neither means anything.
    return str(data.get(name) or "").strip(" \0")


def _spacing(data: Any) -> Numbers | None:
    """Return PixelSpacing; None also for one that is malformed, as images can do without."""
    try:
        found = _numbers(data, "PixelSpacing", 2)
    except (TypeError, ValueError):
        return None
    return found if found and min(found) > 0 else None


def _numbers(data: Any, name: str, count: int) -> Numbers | None:
    value = data.get(name)
    numbers = () if value in (None, "") else tuple(float(number) for number in value)
    if not numbers:
        return None
    if len(numbers) != count:
        raise ValueError(f"{name} has {len(numbers)} values, not {count}")
    return numbers
