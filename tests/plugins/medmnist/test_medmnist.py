"""MedMNIST archives: official parts, images and volumes, and their names."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mritk import Unavailable
from mritk_medmnist import archive, mritk_datasets, parts, resolve_medmnist
from mritk_medmnist.parts import read_parts

SHAPES = {
    (28, 28): 2,
    (28, 28, 3): 2,
    (28, 28, 28): 3,
    (64, 64): 2,
    (64, 64, 64): 3,
    (128, 128, 3): 2,
    (224, 224): 2,
}


@pytest.mark.parametrize(("shape", "dims"), SHAPES.items(), ids=str)
def test_every_kind_and_size_comes_back_pixel_for_pixel(write_archive, shape, dims):
    path = write_archive(shape=shape)
    samples = read_parts(path)
    assert samples.spatial_dims == dims
    with np.load(path) as stored:
        images = np.concatenate([stored[f"{part}_images"] for part in ("train", "val", "test")])
        labels = np.concatenate([stored[f"{part}_labels"] for part in ("train", "val", "test")])
    assert samples.targets.tolist() == labels[:, 0].tolist()
    for i, image in enumerate(images):
        assert samples.read(i).dtype == np.uint8
        np.testing.assert_array_equal(samples.read(i), image)


def test_the_parts_are_the_official_split_and_patients_are_not_known(write_archive):
    samples = read_parts(write_archive())
    assert samples.splits == ("train",) * 7 + ("val",) * 3 + ("test",) * 4
    assert samples.ids[:2] == ("train/00000", "train/00001")
    assert (samples.ids[7], samples.ids[-1]) == ("val/00000", "test/00003")
    assert samples.patients is None


def test_classes_are_the_numbers_of_the_archive(write_archive):
    assert read_parts(write_archive(classes=3)).task.classes == ("0", "1", "2")


def test_classes_are_in_the_order_of_numbers_and_not_of_letters(write_archive):
    samples = read_parts(write_archive(sizes={"train": 12, "val": 12, "test": 12}, classes=12))
    assert samples.task.classes == tuple(str(number) for number in range(12))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.int32])
@pytest.mark.parametrize("shape", [(7, 1), (7,)])
def test_labels_of_every_whole_type_are_read(write_archive, dtype, shape):
    labels = np.array([2, 0, 1, 1, 0, 2, 2], dtype=dtype).reshape(shape)
    samples = read_parts(write_archive(replaced={"train_labels": labels}))
    assert samples.targets[:7].tolist() == [2, 0, 1, 1, 0, 2, 2]


def test_a_sample_is_known_by_its_array_and_not_by_how_the_archive_was_compressed(write_archive):
    one = read_parts(write_archive("one.npz"))
    other = read_parts(write_archive("other.npz", compressed=False))
    image = one.read(8)
    expected = hashlib.sha256(b"|u1(28, 28)" + image.tobytes()).hexdigest()
    assert one.content(8) == expected
    assert one.fingerprint == other.fingerprint
    assert len(set(one.contents)) == 14


def test_opening_reads_no_image(write_archive, monkeypatch):
    path = write_archive()
    samples = read_parts(path)
    read = []
    monkeypatch.setattr(
        parts, "read_array", lambda p, key: read.append(key) or archive.read_array(p, key)
    )
    assert read == []
    samples.read(0)
    samples.read(1)
    assert read == ["train_images"], "only the part that is asked for"


def test_threads_share_one_array(write_archive, monkeypatch):
    path = write_archive()
    samples = read_parts(path)
    read = []
    monkeypatch.setattr(
        parts, "read_array", lambda p, key: read.append(key) or archive.read_array(p, key)
    )
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(samples.read, [*range(14)] * 5))
    assert sorted(read) == ["test_images", "train_images", "val_images"]
    np.testing.assert_array_equal(images[3], images[17])


def test_nobody_can_change_the_pixels_that_others_share(write_archive):
    with pytest.raises(ValueError, match="read-only"):
        read_parts(write_archive()).read(0)[0, 0] = 1


def test_arrays_stored_column_by_column_are_read_alike(write_archive):
    with np.load(write_archive()) as stored:
        images = stored["train_images"]
    columns = write_archive("f.npz", replaced={"train_images": np.asfortranarray(images)})
    np.testing.assert_array_equal(read_parts(columns).read(5), images[5])


# -- the names and the command line --------------------------------------------------------------


def test_the_family_is_written_medmnist_path_npz():
    (family,) = mritk_datasets()
    assert (family.prefix, family.placeholder) == ("medmnist", "PATH.npz")


def test_a_member_is_named_after_its_file_and_names_its_collection(write_archive, workspace):
    (dataset,) = resolve_medmnist(str(write_archive("vesselmnist3d.npz", shape=(28, 28, 28))))
    assert dataset.name == "medmnist:vesselmnist3d.npz"
    assert dataset.sources == ("vesselmnist3d",)
    assert len(dataset.open(workspace)) == 14


def test_an_archive_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match=r"nowhere\.npz.*medmnist\.com"):
        list(resolve_medmnist(str(tmp_path / "nowhere.npz")))


def test_the_family_is_listed(mritk):
    assert "medmnist:PATH.npz" in mritk("list", "datasets").out


@pytest.mark.slow
def test_an_archive_is_learnt_in_its_official_parts(
    mritk, toy, write_archive, fast_protocol, tmp_path
):
    """Guessing gives an area of 0.5."""
    path = write_archive(sizes={"train": 60, "val": 15, "test": 18})
    ended = mritk(
        *("run", "-d", f"medmnist:{path}", "-p", toy, "-b", "tiny", "--seeds", 1),
        *("--protocol", fast_protocol, "-o", tmp_path / "results", "--device", "cpu", "--json"),
    )
    assert ended.code == 0, ended.err
    (table,) = json.loads(ended.out)["leaderboard"]["tables"]
    assert table["dataset"] == "medmnist:brainmnist.npz"
    assert table["scheme"] == "official"
    assert table["rows"][0]["metrics"]["macro_auroc"]["mean"] > 0.8
