"""Datasets on a hub: folders of images and parquet, read by the datasets library, and offline."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

RNG = np.random.default_rng(0)
CARD = "---\nlicense: cc-by-4.0\n---\n# Images\n"
NOWHERE = "http://127.0.0.1:9"

LOOK = """
import json, sys
import numpy as np
from mritk.registry import Registry
from mritk.workspace import Workspace
registry = Registry.load()
registry.workspace = workspace = Workspace.from_environment()
record = registry.dataset(sys.argv[1])
samples = record.open(workspace)
arrays = [samples.read(i) for i in range(len(samples))]
print(json.dumps({
    "ids": samples.ids, "targets": samples.targets.tolist(), "kind": samples.task.kind,
    "classes": getattr(samples.task, "classes", None),
    "patients": samples.patients, "splits": samples.splits, "contents": samples.contents,
    "license": record.license, "sources": record.sources,
    "arrays": [a.tolist() for a in arrays], "dtypes": [str(a.dtype) for a in arrays],
}))
"""


def png(array) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def pictures():
    """Eight images: grey, and one in colour, one of 16 bits."""
    grey = [RNG.integers(0, 256, (12, 10), dtype=np.uint8) for _ in range(6)]
    colour = RNG.integers(0, 256, (12, 10, 3), dtype=np.uint8)
    deep = RNG.integers(0, 65536, (12, 10), dtype=np.uint16)
    return [*grey, colour, deep]


@pytest.fixture
def folders(hub, tmp_path, pictures):
    """``lab/folders``: one folder per part and class."""
    folder = tmp_path / "folders"
    for number, picture in enumerate(pictures):
        part, name = ("train", "test")[number // 4], ("glioma", "none")[number % 2]
        path = folder / part / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(picture))
    (folder / "README.md").write_text(CARD)
    (folder / "folders.py").write_text("raise SystemExit('a script of the repository was run')\n")
    hub.add("lab/folders", folder, "datasets")
    return hub


@pytest.fixture
def parquet(hub, tmp_path, pictures):
    """``lab/parquet``: a column of images, one of text labels, one of patients, one of ages."""
    import datasets

    folder = tmp_path / "parquet"
    (folder / "data").mkdir(parents=True)
    table = datasets.Dataset.from_dict(
        {
            "scan": [{"bytes": png(picture), "path": None} for picture in pictures],
            "diagnosis": ["none", "glioma"] * 4,
            "subject": [f"p{number // 2}" for number in range(8)],
            "age": [20.5 + number for number in range(8)],
        }
    ).cast_column("scan", datasets.Image())
    table.to_parquet(str(folder / "data" / "train-00000-of-00001.parquet"))
    hub.add("lab/parquet", folder, "datasets")
    return hub


@pytest.fixture
def look(hub, tmp_path):
    """Open a dataset in a process that knows only this hub, and return what is in it."""

    def run(name, endpoint=hub.address, **environ):
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        ended = subprocess.run(
            [sys.executable, "-c", LOOK, name],
            env=kept
            | {
                "HF_ENDPOINT": endpoint,
                "HF_HOME": str(tmp_path / "hugging-face"),
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                "HF_HUB_DISABLE_XET": "1",
                "NO_PROXY": "127.0.0.1",
                "MRITK_HOME": str(tmp_path / "home"),
                **environ,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout.splitlines()[-1])

    return run


def test_a_folder_per_class(folders, look, pictures):
    found = look("hf:lab/folders")
    assert found["classes"] == ["glioma", "none"]
    assert sorted(found["ids"]) == [
        *(f"test/{('glioma', 'none')[n % 2]}/{n}.png" for n in (4, 6, 5, 7)),
        *(f"train/{('glioma', 'none')[n % 2]}/{n}.png" for n in (0, 2, 1, 3)),
    ]
    for name, target, split, array in zip(
        *(found[column] for column in ("ids", "targets", "splits", "arrays")), strict=True
    ):
        number = int(name.rpartition("/")[2].removesuffix(".png"))
        assert (split, target) == (name.partition("/")[0], number % 2)
        if number < 7:
            assert np.array_equal(array, pictures[number])
        else:
            assert np.allclose(array, pictures[7] / 65535, atol=1e-6)
    assert found["license"] == "cc-by-4.0"
    assert found["sources"] == ["lab/folders"]
    assert set(found["dtypes"]) == {"uint8", "float32"}


def test_parquet_with_columns_of_other_names(parquet, look, pictures):
    found = look("hf:lab/parquet,image=scan,label=diagnosis,patient=subject")
    assert found["classes"] == ["glioma", "none"]
    assert found["targets"] == [1, 0] * 4
    assert found["patients"] == [f"p{n // 2}" for n in range(8)]
    assert found["splits"] is None, "a part that is called train alone is no official split"
    assert found["ids"] == [f"train/{n:06d}" for n in range(8)]
    assert np.array_equal(found["arrays"][6], pictures[6])


def test_a_column_of_numbers_is_a_regression(parquet, look):
    found = look("hf:lab/parquet,image=scan,label=age")
    assert found["kind"] == "regression"
    assert found["targets"] == [20.5 + n for n in range(8)]


def test_once_fetched_it_is_read_without_a_network(folders, look, call):
    assert call("fetch", "--dataset", "hf:lab/folders").code == 0
    online = look("hf:lab/folders")
    asked = len(folders.requests)
    offline = look("hf:lab/folders", endpoint=NOWHERE, MRITK_OFFLINE="1")
    assert offline == online
    assert len(folders.requests) == asked


@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_damaged_files_are_refused(parquet, call, damage):
    key = "datasets/lab/parquet/data/train-00000-of-00001.parquet"
    whole = parquet.files[key]
    parquet.sent[key] = whole[:-40] if damage == "truncated" else whole[:-40] + bytes(40)
    ended = call("fetch", "-d", "hf:lab/parquet,image=scan,label=diagnosis")
    assert ended.code == 4
    assert "hf:lab/parquet cannot be used: " in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("hf:lab/parquet", 2, "has no column 'image', but scan, diagnosis, subject, age"),
        ("hf:lab/parquet,image=scan,label=diagnosis,patient=who", 2, "',patient=NAME'"),
        ("hf:lab/nothing", 4, "there is no such repository, or it is private"),
        ("hf:lab/parquet,columns=x", 2, "its options are image, label, patient, config, revision"),
    ],
)
def test_mistakes_are_explained(parquet, call, name, code, reason):
    ended = call("fetch", "-d", name)
    assert ended.code == code
    assert reason in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.slow
def test_a_run_on_a_dataset_of_the_hub_keeps_every_promise(parquet, call, fast_protocol, toy):
    name = "hf:lab/parquet,image=scan,label=diagnosis,patient=subject"
    ended = call("plugins", "check", "--as", "dataset", name)
    failed = [line for line in ended.out.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 1
    assert "declares licence and sources: no licence" in failed[0], "the card states none"
    assert call("audit", name).code in (0, 1)
