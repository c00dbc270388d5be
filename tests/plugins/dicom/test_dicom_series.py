"""Slices in any file order become volumes in anatomical order, with the modality's values."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from pydicom.uid import MPEG2MPML, ExplicitVRLittleEndian, JPEGLSLossless, RLELossless

from mritk import ClassFile, DataError, Unavailable
from mritk_dicom.decoders import missing_decoder
from mritk_dicom.header import read_header
from mritk_dicom.pixels import read_volume
from mritk_dicom.series import group_series

SAGITTAL = (0, 1, 0, 0, 0, -1)
OBLIQUE = (0.96, 0.28, 0, -0.168, 0.576, -0.8)  # rows and columns tilted about two axes


def grey(values):
    """The rule, said another way; see tests/data/test_grey_levels.py."""
    values = np.asarray(values, dtype=np.float32).astype(float)
    found = values[values != 0]
    found = found[np.abs(found) > np.abs(np.percentile(found, (0.5, 99.5))).max() / 510]
    low, high = np.percentile(found, (0.5, 99.5))
    return np.rint(np.interp(values, [low, high], [0, 255]))


def series_in(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return group_series([ClassFile(path, "glioma") for path in paths])


def volume_of(folder):
    (series,) = series_in(folder)
    return read_volume(series.slices)


def change(folder, **attributes):
    """Change attributes of the first file of a folder; ``None`` removes them."""
    path = sorted(folder.iterdir())[0]
    image = pydicom.dcmread(path)
    for name, value in attributes.items():
        delattr(image, name) if value is None else setattr(image, name, value)
    image.save_as(path)
    return path


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), SAGITTAL, OBLIQUE])
def test_slices_are_sorted_along_their_normal(write_series, make_head, tmp_path, orientation):
    head = make_head()
    folder = write_series(tmp_path / "s", head, orientation=orientation)
    volume = volume_of(folder)
    assert volume.dtype == np.uint8
    np.testing.assert_array_equal(volume, grey(head))


def test_axial_slices_run_from_inferior_to_superior(write_slice, tmp_path):
    """Positions are in mm towards the left, posterior and superior (PS3.3, C.7.6.2.1.1)."""
    for z, level in ((30, 300), (-20, 100), (5, 200)):
        write_slice(tmp_path / "s" / f"{z}", np.full((4, 4), level), ImagePositionPatient=[0, 0, z])
    assert volume_of(tmp_path / "s").mean(axis=(1, 2)).tolist() == [0, 128, 255]


def test_position_counts_more_than_instance_number(write_series, make_head, tmp_path):
    head = make_head()
    folder = write_series(tmp_path / "s", head, InstanceNumber=7)
    np.testing.assert_array_equal(volume_of(folder), grey(head))


@pytest.mark.parametrize("absent", ["ImagePositionPatient", "ImageOrientationPatient"])
def test_without_geometry_the_instance_number_sorts(write_series, make_head, tmp_path, absent):
    head = make_head()
    folder = write_series(tmp_path / "s", head)
    change(folder, **{absent: None})
    np.testing.assert_array_equal(volume_of(folder), grey(head))


def test_the_rescale_of_each_slice_is_applied(write_slice, make_head, tmp_path):
    head = make_head().astype(float)
    for k, plane in enumerate(head):
        slope, intercept = 0.5 + k / 4, 10.0 * k
        stored = np.rint(plane * 8)
        head[k] = stored * slope + intercept
        place = {"ImagePositionPatient": [0, 0, k], "InstanceNumber": k}
        write_slice(
            tmp_path / "s" / str(k), stored, RescaleSlope=slope, RescaleIntercept=intercept, **place
        )
    np.testing.assert_allclose(volume_of(tmp_path / "s"), grey(head), atol=1)


def test_negative_values_are_read_as_such(write_series, make_head, tmp_path):
    head = make_head().astype(np.int16) - 300
    folder = write_series(tmp_path / "s", head, dtype=np.int16)
    np.testing.assert_array_equal(volume_of(folder), grey(head))


def test_monochrome1_is_inverted(write_series, make_head, tmp_path):
    head = make_head()
    head -= head.min()
    plain = write_series(tmp_path / "plain", head)
    dark = write_series(
        tmp_path / "dark", head.max() - head, PhotometricInterpretation="MONOCHROME1"
    )
    np.testing.assert_array_equal(volume_of(dark), volume_of(plain))


@pytest.mark.parametrize(
    ("dtype", "attributes"),
    [
        (np.uint16, {"PixelPaddingValue": 4000}),
        (np.uint16, {"PixelPaddingValue": 3990, "PixelPaddingRangeLimit": 4010}),
        (np.uint16, {"PixelPaddingValue": 4010, "PixelPaddingRangeLimit": 3990}),
        (np.uint16, {"PixelPaddingValue": 4000, "RescaleSlope": 2, "RescaleIntercept": 0}),
        (np.int16, {"PixelPaddingValue": 4000, "RescaleSlope": -1, "RescaleIntercept": 2000}),
    ],
)
def test_padding_does_not_count_and_is_black(write_series, make_head, tmp_path, dtype, attributes):
    head = make_head()
    padded = head.copy()
    padded[:, :, :9] = 4000
    folder = write_series(tmp_path / "s", padded, dtype=dtype, **attributes)
    slope, intercept = attributes.get("RescaleSlope", 1), attributes.get("RescaleIntercept", 0)
    volume = volume_of(folder)
    assert not volume[:, :, :9].any()
    measured = head[:, :, 9:].astype(float) * slope + intercept
    np.testing.assert_array_equal(volume[:, :, 9:], grey(measured))


def test_padding_of_inverted_pixels_is_black_too(write_series, make_head, tmp_path):
    head = make_head()
    head[:, :, :9] = 4000
    padding = {"PixelPaddingValue": 4000, "PhotometricInterpretation": "MONOCHROME1"}
    volume = volume_of(write_series(tmp_path / "s", head, **padding))
    rest = head[:, :, 9:].astype(float)
    assert not volume[:, :, :9].any()
    np.testing.assert_array_equal(volume[:, :, 9:], grey(rest.max() - rest))


def test_padding_is_known_by_its_bits_where_a_writer_took_the_wrong_sign(
    write_series, make_head, tmp_path
):
    """Signed pixels of -2000, and a file that calls their padding 63536."""
    head = make_head().astype(np.int16)
    head[:, :, :9] = -2000
    folder = write_series(tmp_path / "s", head, dtype=np.int16)
    for path in folder.iterdir():
        image = pydicom.dcmread(path)
        image.add_new("PixelPaddingValue", "US", 63536)
        image.save_as(path)
    volume = volume_of(folder)
    assert not volume[:, :, :9].any()
    np.testing.assert_array_equal(volume[:, :, 9:], grey(head[:, :, 9:]))


def test_a_series_of_padding_is_refused(write_series, tmp_path):
    folder = write_series(tmp_path / "s", np.full((3, 8, 8), 7), PixelPaddingValue=7)
    with pytest.raises(DataError, match="padding"):
        volume_of(folder)


@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_those_stored_are_no_part_of_the_value(
    write_series, make_head, tmp_path, signed
):
    """12 bits of 16: the others may hold an overlay, and the sign is that of bit 12."""
    head = make_head().astype(np.int32) - 300 * signed
    stored = head & 0xFFF if signed else head | 0xA000
    bits = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": int(signed)}
    folder = write_series(tmp_path / "s", stored, **bits)
    np.testing.assert_array_equal(volume_of(folder), grey(head))


def test_an_old_layout_of_bits_is_refused(write_series, make_head, tmp_path):
    folder = write_series(tmp_path / "s", make_head() << 4, BitsStored=12, HighBit=15)
    with pytest.raises(DataError, match="cannot be decoded"):
        volume_of(folder)


def test_compressed_pixels_are_decoded(write_series, make_head, tmp_path):
    head = make_head()
    folder = write_series(tmp_path / "s", head)
    for path in folder.iterdir():
        image = pydicom.dcmread(path)
        image.compress(RLELossless)
        image.save_as(path)
    np.testing.assert_array_equal(volume_of(folder), grey(head))


def example(name):
    """A file that pydicom brings."""
    return Path(pydicom.__file__).parent / "data" / "test_files" / name


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("MR_small_jpeg_ls_lossless.dcm", "JPEG-LS Lossless.*; python -m pip install 'mritk-bench"),
        ("JPGExtended.dcm", "JPEG Extended .*12 bits; .* pylibjpeg-libjpeg"),
    ],
)
def test_a_decoder_that_is_absent_is_told_before_training(name, remedy, monkeypatch):
    bare = SimpleNamespace(is_available=False, available_plugins=())
    monkeypatch.setattr("mritk_dicom.decoders.get_decoder", lambda uid: bare)
    missing_decoder.cache_clear()
    with pytest.raises(Unavailable, match=remedy):
        read_header(example(name))
    missing_decoder.cache_clear()


def test_jpeg_ls_is_decoded_where_its_decoder_is_installed():
    if missing_decoder(JPEGLSLossless, 16):
        with pytest.raises(Unavailable, match="mritk-bench"):
            read_header(example("MR_small_jpeg_ls_lossless.dcm"))
        return
    found, plain = (
        read_volume([read_header(example(name))])
        for name in ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm")
    )
    np.testing.assert_array_equal(found, plain)


def test_a_syntax_that_pydicom_does_not_know_says_how_to_convert():
    assert "convert the file (dcmconv" in missing_decoder(MPEG2MPML, 8)
    assert missing_decoder(RLELossless, 16) == missing_decoder(ExplicitVRLittleEndian, 16) == ""


def test_each_series_and_each_patient_stands_apart(write_series, make_head, tmp_path):
    write_series(tmp_path / "all" / "1", make_head(), series="t1")
    write_series(tmp_path / "all" / "2", make_head(seed=1), series="t2")
    write_series(tmp_path / "all" / "3", make_head(seed=2), patient="other", series="t1")
    assert [len(series.slices) for series in series_in(tmp_path)] == [12, 12, 12]


def test_a_series_may_have_one_slice(write_slice, tmp_path):
    write_slice(tmp_path / "s" / "x", np.arange(64).reshape(8, 8), ImagePositionPatient=None)
    assert volume_of(tmp_path / "s").shape == (1, 8, 8)


def test_a_gap_is_told(write_series, make_head, tmp_path, caplog):
    folder = write_series(tmp_path / "s", make_head())
    with caplog.at_level(logging.WARNING, "mritk"):
        volume_of(folder)
    assert not caplog.messages
    (series,) = series_in(folder)
    series.slices[5].path.unlink()
    with caplog.at_level(logging.WARNING, "mritk"):
        assert len(volume_of(folder)) == 11
    assert "gap of 5 between slices 2.5 apart" in caplog.text
    assert str(folder) in caplog.text
