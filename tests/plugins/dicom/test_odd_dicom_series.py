"""Series whose files do not belong together, or cannot be used: named, and refused."""

from __future__ import annotations

import dataclasses
import logging
import shutil

import numpy as np
import pydicom
import pytest

from mritk import DataError
from mritk_dicom.pixels import read_volume
from tests.plugins.dicom.test_dicom_series import change, series_in, volume_of

SAGITTAL = (0, 1, 0, 0, 0, -1)


# -- what does not belong together ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"Rows": 12}, "different size"),
        ({"PixelSpacing": [1, 0.5]}, r"different pixel spacing .*1 mm × 0\.5 mm"),
        ({"ImageOrientationPatient": list(SAGITTAL)}, "different orientation"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "different photometric"),
        ({"ImageOrientationPatient": [0] * 6}, "not perpendicular|different orientation"),
        ({"ImagePositionPatient": None, "InstanceNumber": None}, r"as \S+ lack position"),
        ({"ImagePositionPatient": None, "InstanceNumber": 3}, "two slices at one position"),
    ],
)
def test_an_inconsistent_series_names_its_folder(
    write_series, make_head, tmp_path, attributes, reason
):
    folder = write_series(tmp_path / "s", make_head())
    (series,) = series_in(folder)
    if (
        attributes.get("InstanceNumber") == 3
        and sorted(folder.iterdir())[0] == series.slices[2].path
    ):
        attributes = {**attributes, "InstanceNumber": 4}
    change(folder, **attributes)
    with pytest.raises(DataError, match=reason) as error:
        series_in(folder)
    assert str(folder) in str(error.value)


def test_a_copy_of_a_slice_is_refused(write_series, make_head, tmp_path):
    folder = write_series(tmp_path / "s", make_head())
    shutil.copy(folder / "IM0003", folder / "copy of IM0003")
    with pytest.raises(DataError, match=r"two slices at one position .*IM0003.*IM0003"):
        series_in(folder)


# -- files that cannot be used -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"PatientID": None}, r"no PatientID.*,patient=folder.*,patient=none and --no-patient-ids"),
        ({"PatientID": "NaN"}, "no PatientID"),
        ({"PatientID": "  "}, "no PatientID"),
        ({"SeriesInstanceUID": None}, "no SeriesInstanceUID"),
        ({"Rows": None}, "contains no image .*modality MR"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "not a grey image .*RGB"),
        ({"PhotometricInterpretation": None}, "not a grey image .*missing"),
        ({"NumberOfFrames": 20}, "20 frames.*dcm2niix"),
        ({"ImagePositionPatient": [1, 2]}, "ImagePositionPatient has 2 values, not 3"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(write_series, make_head, tmp_path, attributes, reason):
    path = change(write_series(tmp_path / "s", make_head()), **attributes)
    with pytest.raises(DataError, match=reason) as error:
        series_in(tmp_path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_header_that_stops_midway_is_named(write_series, make_head, tmp_path):
    folder = write_series(tmp_path / "s", make_head())
    path = folder / "IM0002"
    path.write_bytes(path.read_bytes()[:420])
    with pytest.raises(DataError, match="IM0002"):
        series_in(folder)


@pytest.mark.parametrize("length", [-300, 0])
def test_truncated_or_absent_pixels_are_told_without_the_name_of_the_file(
    write_series, make_head, tmp_path, caplog, length
):
    folder = write_series(tmp_path / "Zimmermann", make_head())
    path = folder / "IM0004"
    if length:
        path.write_bytes(path.read_bytes()[:length])
    else:
        change_this(path, PixelData=None)
    (series,) = series_in(folder)
    position = [header.path for header in series.slices].index(path) + 1
    with (
        caplog.at_level(logging.WARNING, "mritk"),
        pytest.raises(DataError, match=f"slice {position} of 12 cannot be decoded") as error,
    ):
        read_volume(series.slices)
    assert "Zimmermann" not in str(error.value), "reasons of unreadable samples are stored"
    assert str(path) in caplog.text, "a person at the machine needs to know"


def change_this(path, **attributes):
    image = pydicom.dcmread(path)
    for name in attributes:
        delattr(image, name)
    image.save_as(path)


def test_an_empty_image_is_refused(write_series, tmp_path):
    folder = write_series(tmp_path / "s", np.full((3, 8, 8), 7))
    with pytest.raises(DataError, match="every pixel of the series is 7"):
        volume_of(folder)


def test_a_series_that_memory_cannot_hold_is_refused_before_it_is_decoded(
    write_series, make_head, tmp_path
):
    folder = write_series(tmp_path / "s", make_head())
    (series,) = series_in(folder)
    huge = [dataclasses.replace(header, rows=60000, columns=60000) for header in series.slices]
    with pytest.raises(DataError, match="GB of memory"):
        read_volume(huge)
