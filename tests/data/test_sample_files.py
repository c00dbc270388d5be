"""Samples as files for other programs, and label maps read back."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from PIL import Image, ImageFile

from mritk import DataError
from mritk.data.sample_files import (
    file_name,
    label_map_file,
    read_label_map,
    write_label_map,
    write_sample,
)
from mritk.data.volume_space import Space, around_middle


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def test_a_volume_is_one_nifti_per_channel_with_axes_as_published_files_have_them(tmp_path):
    """An array runs up, to the back and to the left; a file to the right, the front and up."""
    volume = noise(2, 3, 4, 5)
    space = Space((3, 4, 5), around_middle((3, 4, 5), (3.0, 2.0, 0.5)))
    files = write_sample(volume, tmp_path, "a", ("t1", "flair"), 3, space)
    assert {name: path.name for name, path in files.items()} == {
        "t1": "a_0000.nii.gz",
        "flair": "a_0001.nii.gz",
    }
    for row, path in enumerate(files.values()):
        image = nibabel.load(path)
        expected = volume[row].transpose(2, 1, 0)[::-1, ::-1]
        np.testing.assert_array_equal(np.asarray(image.dataobj), expected)
        assert image.header.get_zooms() == (0.5, 2.0, 3.0)
        assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
        np.testing.assert_allclose(image.affine @ [2, 1.5, 1, 1], [0, 0, 0, 1], atol=1e-6)
        assert image.header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_values_of_floats_are_kept(tmp_path, kind):
    volume = np.linspace(0, 1, 24, dtype=kind).reshape(2, 3, 4)
    (path,) = write_sample(volume, tmp_path, "a", (), 3).values()
    assert nibabel.load(path).header.get_zooms() == (1.0, 1.0, 1.0)
    expected = volume.astype(float).transpose(2, 1, 0)[::-1, ::-1]
    np.testing.assert_array_equal(nibabel.load(path).get_fdata(), expected)


def test_images_are_png_where_they_can_be_and_arrays_otherwise(tmp_path):
    for image in (noise(4, 5), noise(4, 5, 3)):
        (path,) = write_sample(image, tmp_path, "a", (), 2).values()
        assert path.name == "a_0000.png"
        np.testing.assert_array_equal(np.asarray(Image.open(path)), image)
    for dims, array in ((2, noise(4, 5) / 255), (None, noise(7, 7, 7, 2))):
        (path,) = write_sample(array, tmp_path, "b", (), dims).values()
        assert path.name == "b_0000.npy"
        np.testing.assert_array_equal(np.load(path), array)


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5)])
def test_a_label_map_comes_back_as_it_was(tmp_path, shape):
    labels = noise(*shape) % 3
    space = Space(shape, around_middle(shape, (1.0, 2.0, 3.0))) if len(shape) == 3 else None
    path = write_label_map(labels, tmp_path, "a", space)
    assert path == label_map_file(tmp_path, "a", len(shape))
    found = read_label_map(path, space)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, labels)


def test_whole_numbers_of_any_type_are_labels_and_nothing_else_is(tmp_path):
    path = tmp_path / "a.nii.gz"
    for values in ([0.0, 2.0], [0, 300], [-1, 0]):
        nibabel.save(nibabel.Nifti1Image(np.array(values, np.float32)[None, None], np.eye(4)), path)
        np.testing.assert_array_equal(read_label_map(path).ravel(), values)
    nibabel.save(nibabel.Nifti1Image(np.full((1, 1, 1), 0.5, np.float32), np.eye(4)), path)
    with pytest.raises(DataError, match=r"a.nii.gz has values that are no whole numbers"):
        read_label_map(path)
    path.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a.nii.gz is no label map: "):
        read_label_map(path)
    with pytest.raises(DataError, match=r"there is no label map b.png"):
        read_label_map(tmp_path / "b.png")


def test_half_a_label_map_is_none_also_where_a_plugin_has_allowed_it(tmp_path, monkeypatch):
    path = write_label_map(noise(64, 64), tmp_path, "a")
    path.write_bytes(path.read_bytes()[:2000])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(DataError, match=r"a.png is no label map: .*truncated"):
        read_label_map(path)


def test_names_of_files_say_nothing_of_the_sample():
    name = file_name(7, "glioma/patient 3: axial")
    assert name.startswith("case00007_")
    assert "glioma" not in name
    assert name.replace("_", "").isalnum()
    assert name != file_name(7, "glioma/patient 4: axial")


@pytest.mark.parametrize(
    "values",
    [
        np.full((2, 2, 2), 1 + 1j, np.complex64),
        np.full((2, 2, 2), np.inf, np.float32),
        np.full((2, 2, 2), np.nan, np.float32),
        np.zeros((2, 2, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")]),
    ],
    ids=["complex", "infinite", "NaN", "colours"],
)
def test_a_file_of_other_values_is_no_label_map(tmp_path, values):
    path = tmp_path / "map.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    with pytest.raises(DataError, match=r"map.nii.gz has values that are no whole numbers"):
        read_label_map(path)
