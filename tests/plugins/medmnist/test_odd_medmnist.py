"""MedMNIST archives that are damaged, hostile or of another layout are refused in one line."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from mritk import DataError
from mritk_medmnist import archive, parts
from mritk_medmnist.archive import read_array, read_array_header
from mritk_medmnist.parts import read_parts

# -- trouble -----------------------------------------------------------------------------------


def test_labels_of_several_columns_are_refused(write_archive):
    path = write_archive(replaced={"train_labels": np.zeros((7, 14), dtype=np.uint8)})
    with pytest.raises(DataError, match=r"brainmnist\.npz: train_labels has 14 columns.*one label"):
        read_parts(path)


@pytest.mark.parametrize(
    "key", [f"{part}_{kind}" for part in ("train", "val", "test") for kind in ("images", "labels")]
)
def test_a_missing_array_is_named(write_archive, key):
    with pytest.raises(DataError, match=rf"brainmnist\.npz has no array {key}"):
        read_parts(write_archive(without=[key]))


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((7, 28, 28), dtype=np.float32),
        np.zeros((7, 28, 28), dtype=np.int16),
        np.zeros((7, 28), dtype=np.uint8),
        np.zeros((7, 28, 28, 1), dtype=np.uint8),
        np.zeros((7, 28, 28, 4), dtype=np.uint8),
        np.zeros((7, 3, 28, 28), dtype=np.uint8),
        np.zeros((7, 28, 28, 28, 3), dtype=np.uint8),
        np.zeros((7, 0, 0), dtype=np.uint8),
        np.uint8(7),
    ],
    ids=lambda images: f"{images.dtype}{images.shape}",
)
def test_images_of_another_layout(write_archive, images):
    with pytest.raises(DataError, match=r"brainmnist\.npz: train_images is .*uint8 images"):
        read_parts(write_archive(replaced={"train_images": images}))


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros((7, 1)),
        np.zeros((7, 1), dtype=bool),
        np.array([["0"]] * 7),
        np.zeros((7, 1, 1), dtype=np.uint8),
        np.uint8(0),
    ],
    ids=lambda labels: f"{labels.dtype}{labels.shape}",
)
def test_labels_of_another_layout(write_archive, labels):
    with pytest.raises(DataError, match=r"brainmnist\.npz: train_labels is .*integers"):
        read_parts(write_archive(replaced={"train_labels": labels}))


def test_a_label_below_0(write_archive):
    labels = np.array([[0], [1], [-1], [0], [1], [2], [0]])
    with pytest.raises(DataError, match="train_labels contains -1"):
        read_parts(write_archive(replaced={"train_labels": labels}))


def test_images_and_labels_of_different_number(write_archive):
    path = write_archive(replaced={"val_labels": np.zeros((2, 1), dtype=np.uint8)})
    with pytest.raises(DataError, match="val_images has 3 samples, val_labels has 2"):
        read_parts(path)


def test_a_part_without_samples(write_archive):
    empty = {
        "val_images": np.zeros((0, 28, 28), np.uint8),
        "val_labels": np.zeros((0, 1), np.uint8),
    }
    with pytest.raises(DataError, match=r"brainmnist\.npz: the val set has no samples"):
        read_parts(write_archive(replaced=empty))


def test_parts_of_different_shape(write_archive):
    path = write_archive(replaced={"test_images": np.zeros((4, 64, 64), dtype=np.uint8)})
    with pytest.raises(DataError, match=r"train \(28, 28\), val \(28, 28\), test \(64, 64\)"):
        read_parts(path)


def test_one_class_is_not_enough(write_archive):
    with pytest.raises(DataError, match="at least two classes"):
        read_parts(write_archive(classes=1))


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x80\x04K\x01.", b"PK\x03\x04" + bytes(50)])
def test_a_file_that_is_no_archive(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.npz: train_labels cannot be read"):
        read_parts(tmp_path / "x.npz")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_archive(write_archive, share):
    path = write_archive()
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match=r"brainmnist\.npz: .* truncated or damaged"):
        read_parts(path)


def test_damaged_images_are_told_and_decompressed_once_only(write_archive, monkeypatch):
    path = write_archive(compressed=False)
    with np.load(path) as stored:
        inside = stored["train_images"][3].tobytes()
    content = bytearray(path.read_bytes())
    content[content.index(inside) + 5] ^= 1
    path.write_bytes(content)
    samples = read_parts(path)
    attempts = []
    monkeypatch.setattr(
        parts, "read_array", lambda *a: attempts.append(a) or archive.read_array(*a)
    )
    for i in range(3):
        with pytest.raises(DataError, match=r"train_images cannot be read .*CRC"):
            samples.read(i)
    assert len(attempts) == 1
    assert samples.read(8).shape == (28, 28), "the other parts are whole"


@pytest.mark.slow
def test_no_byte_that_is_wrong_makes_a_traceback(write_archive):
    path = write_archive()
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            samples = read_parts(path)
            for i in (0, 7, 10):
                samples.read(i)
        except DataError:
            refused += 1
    assert refused > 100


def with_member(path, key, content):
    """Append an array to an archive as these very bytes."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as stored:
        stored.writestr(f"{key}.npy", content)
    return path


def npy_bytes(array, **options):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


@pytest.mark.parametrize("key", ["train_images", "train_labels"])
def test_objects_are_refused_and_never_unpickled(write_archive, tmp_path, key):
    class Trap:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'sprung')!r}, 'w')",)

    trap = np.array([Trap()] * 7, dtype=object)
    path = with_member(write_archive(without=[key]), key, npy_bytes(trap, allow_pickle=True))
    with pytest.raises(DataError, match=rf"brainmnist\.npz: {key} contains Python objects"):
        read_parts(path)
    assert not (tmp_path / "sprung").exists()
    np.load(path, allow_pickle=True)[key]
    assert (tmp_path / "sprung").exists(), "the trap works"


def test_an_array_with_less_data_than_its_header_promises(write_archive):
    whole = npy_bytes(np.zeros((7, 28, 28), dtype=np.uint8))
    path = with_member(write_archive(without=["train_images"]), "train_images", whole[:-100])
    with pytest.raises(DataError, match=r"train_images has 5388 bytes of data.*5488"):
        read_parts(path)


def test_a_header_that_promises_terabytes_allocates_nothing(write_archive):
    head = io.BytesIO()
    shape = (10**9, 224, 224)
    np.lib.format.write_array_header_1_0(
        head, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    path = with_member(write_archive(without=["train_images"]), "train_images", head.getvalue())
    with pytest.raises(DataError, match="train_images has 0 bytes of data"):
        read_parts(path)


def test_the_header_is_read_without_the_data(write_archive):
    header = read_array_header(write_archive(shape=(64, 64, 3)), "val_images")
    assert (header.shape, header.dtype) == ((3, 64, 64, 3), np.uint8)


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_both_versions_of_plain_headers_are_read(write_archive, version):
    array = np.arange(5)
    path = with_member(write_archive(), "extra", npy_bytes(array, version=version))
    np.testing.assert_array_equal(read_array(path, "extra"), array)


def test_a_header_of_an_unknown_version(write_archive):
    content = bytearray(npy_bytes(np.arange(5)))
    content[6] = 3
    path = with_member(write_archive(), "extra", bytes(content))
    with pytest.raises(DataError, match="extra is not a plain array"):
        read_array(path, "extra")
