"""``hf:ORG/REPO`` of a dataset: the pixels that were put in come out, with labels and patients."""

from __future__ import annotations

import hashlib
import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mritk import (
    Classification,
    DataError,
    Regression,
    grey_levels,
)
from tests.plugins.huggingface.conftest import NAME

datasets = pytest.importorskip("datasets")


def png(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "png")
    return stream.getvalue()


def pixels(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape or (8, 6), dtype=np.uint8)


def parquet(**columns) -> bytes:
    """A parquet file as ``push_to_hub`` of the library writes it."""
    features = {"image": datasets.Image(), **columns.pop("features", {})}
    for name, values in columns.items():
        if name not in features:
            features[name] = datasets.Dataset.from_dict({name: values}).features[name]
    table = datasets.Dataset.from_dict(columns, features=datasets.Features(features)).data.table
    return written(table)


def written(table: pyarrow.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


FOLDERS = {
    f"{part}/{label}/{number}.png": png(pixels(10 * i + j))
    for i, (part, label) in enumerate(
        (part, label) for part in ("train", "test") for label in ("healthy", "tumour")
    )
    for j, number in enumerate("ab")
}


@pytest.mark.slow
def test_folders_of_images_are_classes_and_parts(put, open_) -> None:
    put(FOLDERS)

    samples = open_()

    assert sorted(samples.ids) == sorted(FOLDERS)
    assert samples.task == Classification(("healthy", "tumour"))
    assert samples.patients is None
    for i, name in enumerate(samples.ids):
        part, label, _ = name.split("/")
        np.testing.assert_array_equal(
            samples.read(i), np.asarray(Image.open(io.BytesIO(FOLDERS[name])))
        )
        assert samples.splits[i] == part
        assert samples.task.classes[samples.targets[i]] == label
        assert samples.content(i) == hashlib.sha256(FOLDERS[name]).hexdigest()


def test_the_record_names_source_licence_and_commit(put, registry) -> None:
    repo = put(FOLDERS, license="cc-by-4.0")

    record = registry.dataset(f"hf:{NAME}")

    assert (record.name, record.sources, record.license) == (f"hf:{NAME}", (NAME,), "cc-by-4.0")
    assert repo.commit in record.summary


@pytest.mark.slow
@pytest.mark.parametrize("file", ["metadata.csv", "metadata.jsonl"])
def test_a_metadata_file_tells_labels_and_patients(file: str, put, open_) -> None:
    rows = [
        {"file_name": f"{n}.png", "diagnosis": "ab"[n % 2], "who": 7 + n // 2} for n in range(6)
    ]
    if file.endswith("csv"):
        lines = [",".join(rows[0]), *(",".join(str(v) for v in row.values()) for row in rows)]
        text = "\n".join(lines)
    else:
        text = "\n".join(json.dumps(row) for row in rows)
    images = {f"train/{n}.png": png(pixels(n)) for n in range(6)}
    put(images | {f"train/{file}": text.encode()})

    samples = open_(",label=diagnosis,patient=who")

    assert dict(zip(samples.ids, samples.patients, strict=True)) == {
        f"train/{n}.png": str(7 + n // 2) for n in range(6)
    }
    assert samples.task == Classification(("a", "b"))
    assert [samples.targets[samples.ids.index(f"train/{n}.png")] for n in range(6)] == [0, 1] * 3
    assert samples.splits is None, "a lone split is no official one"


def test_class_folders_tell_the_label_where_the_metadata_do_not(put, open_) -> None:
    names = [name.removeprefix("train/") for name in FOLDERS if name.startswith("train/")]
    text = "file_name,patient\n" + "\n".join(f"{n},p{i // 2}" for i, n in enumerate(names))
    train = {f"train/{name}": FOLDERS[f"train/{name}"] for name in names}
    put(train | {"train/metadata.csv": text.encode()})

    samples = open_(",patient=patient")

    assert samples.task == Classification(("healthy", "tumour"))
    assert sorted(set(samples.patients)) == ["p0", "p1"]


@pytest.mark.slow
def test_parquet_files_hold_images_class_names_and_parts(put, open_) -> None:
    names = ("meningioma", "glioma")
    label = {"label": datasets.ClassLabel(names=list(names))}
    images = [png(pixels(n)) for n in range(9)]
    put(
        {
            f"data/{part}-0000{k}-of-00002.parquet": parquet(
                image=[{"bytes": b, "path": "same.png"} for b in images[at]],
                label=[n % 2 for n in range(len(images[at]))],
                features=label,
            )
            for part, k, at in (
                ("train", 0, slice(0, 3)),
                ("train", 1, slice(3, 5)),
                ("validation", 0, slice(5, 7)),
                ("test", 0, slice(7, 9)),
            )
        }
    )

    samples = open_()

    assert samples.task == Classification(names)
    assert list(samples.splits) == ["train"] * 5 + ["val"] * 2 + ["test"] * 2
    assert samples.ids[:2] == ("train/000000", "train/000001")
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(samples.read, list(range(9)) * 20))
    for i, content in enumerate(images):
        for array in read[i::9]:
            np.testing.assert_array_equal(array, pixels(i))
        assert samples.content(i) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("struct", [True, False])
def test_parquet_files_of_other_tools_hold_bytes_alone(struct: bool, put, open_) -> None:
    images = [png(pixels(n)) for n in range(2)]
    column = [{"bytes": b, "path": "x.png"} for b in images] if struct else images
    put({"train.parquet": written(pyarrow.table({"scan": column, "label": ["a", "b"]}))})

    samples = open_(",image=scan")

    np.testing.assert_array_equal(samples.read(1), pixels(1))


def test_a_column_of_addresses_is_not_followed(put, open_) -> None:
    table = pyarrow.table({"image": ["https://example.org/x.png"] * 2, "label": ["a", "b"]})
    put({"train.parquet": written(table)})

    with pytest.raises(DataError, match=r"contains .*string.* not encoded images"):
        open_()


@pytest.mark.slow
def test_whole_numbers_are_classes_and_fractions_are_measured(put, open_) -> None:
    images = [{"bytes": png(pixels(n)), "path": None} for n in range(4)]
    put({"train.parquet": parquet(image=images, grade=[10, 9, 9, 10], age=[61.5, 20.0, 33.0, 8.0])})

    graded, aged = open_(",label=grade"), open_(",label=age")

    assert (graded.task, graded.targets.tolist()) == (Classification(("9", "10")), [1, 0, 0, 1])
    assert (aged.task, aged.targets.tolist()) == (Regression(), [61.5, 20.0, 33.0, 8.0])


def test_images_may_be_grey_rgb_or_of_16_bits(put, open_) -> None:
    deep = np.arange(48, dtype=np.uint16).reshape(8, 6) * 1000
    arrays = [pixels(0), pixels(1, 8, 6, 3), pixels(2, 8, 6, 4), deep]
    images = [{"bytes": png(array), "path": None} for array in arrays]
    put({"train.parquet": parquet(image=images, label=["a", "b", "a", "b"])})

    samples = open_()

    np.testing.assert_array_equal(samples.read(0), arrays[0])
    np.testing.assert_array_equal(samples.read(1), arrays[1])
    np.testing.assert_array_equal(samples.read(2), arrays[2][..., :3])
    np.testing.assert_array_equal(samples.read(3), grey_levels(deep))


def test_an_unreadable_image_is_told_by_its_id(put, open_) -> None:
    put(FOLDERS | {"train/tumour/c.png": b"no image", "train/tumour/d.png": b""})

    with pytest.raises(DataError, match=r"not an image"):
        samples = open_()
        samples.read(samples.ids.index("train/tumour/c.png"))


def test_configs_of_a_card_are_chosen_by_name(put, open_) -> None:
    card = (
        "---\nconfigs:\n- config_name: axial\n  data_files: axial/*.parquet\n"
        "- config_name: coronal\n  data_files: coronal/*.parquet\n---\n"
    )
    image = [{"bytes": png(pixels(n)), "path": None} for n in range(2)]
    put(
        {
            "README.md": card.encode(),
            "axial/x.parquet": parquet(image=image, label=["a", "b"]),
            "coronal/x.parquet": parquet(image=image, label=["c", "d"]),
        }
    )

    assert open_(",config=coronal").task == Classification(("c", "d"))
    with pytest.raises(DataError, match=r"axial.*,config=NAME"):
        open_()
