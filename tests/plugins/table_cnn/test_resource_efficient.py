"""The studies run on folders as Kaggle has them, and the audit finds what the two sets share."""

from __future__ import annotations

import json
from itertools import count

import numpy as np
import pytest
from PIL import Image

from mritk.plugins.registry import Registry
from mritk.study.benchmark import Benchmark, find_protocol

STUDIES = ("", "_kshot", "_binary", "_br35h")
PARTS = ("Training", "Testing")
CLASSES = ("glioma", "meningioma", "notumor", "pituitary")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Both collections in small; half of br35h/no is among the other's notumor, as JPEG anew."""
    root = tmp_path_factory.mktemp("kaggle")
    generator, number = np.random.default_rng(0), count()

    def picture():
        coarse = Image.fromarray(generator.integers(0, 256, (8, 8), np.uint8))
        return coarse.resize((64, 64), Image.Resampling.BICUBIC)

    def write(image, folder, **options):
        path = root / folder / f"{next(number):04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, **options)

    for name in CLASSES:
        for part, images in zip(PARTS, (100, 8), strict=True):
            for _ in range(images):
                write(picture(), f"masoudnickparvar/{part}/{name}")
    for name in ("yes", "no"):
        for i in range(20):
            image = picture()
            write(image, f"br35h/{name}", quality=95)
            if name == "no" and i % 2 == 0:
                folder = f"masoudnickparvar/{PARTS[i // 2 % 2]}/notumor"
                write(image.resize((56, 56)), folder, quality=80)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_a_study_plans_its_trials_on_the_data_that_it_names(
    study, folders, mritk, request, monkeypatch
):
    file = request.config.rootpath / "benchmarks" / "studies" / f"resource_efficient{study}.toml"
    monkeypatch.chdir(folders)
    ended = mritk("run", file, "--dry-run")
    assert ended.code == 0, ended.err
    benchmark = Benchmark.from_file(file)
    trials = len(benchmark.backbones) * len(benchmark.protocols) * len(benchmark.seeds)
    assert f"{trials} trials" in ended.out + ended.err
    registry = Registry.load(environ={})
    assert {find_protocol(name, registry).name for name in benchmark.protocols} == set(
        benchmark.protocols
    )
    assert {registry.backbone(name).architecture.name for name in benchmark.backbones} == {
        *("table_cnn", "resnet18", "vgg16")
    }


@pytest.mark.slow
def test_the_audit_finds_the_images_that_both_collections_hold(folders, mritk, monkeypatch):
    monkeypatch.chdir(folders)
    ended = mritk("audit", "folder:br35h", "folder:masoudnickparvar", "--json")
    assert ended.code == 1
    found = json.loads(ended.out)
    across = [finding["text"] for finding in found["findings"] if finding["kind"] == "across"]
    assert across == ["10 of 442 samples of folder:masoudnickparvar are also in folder:br35h"]
    pairs = [{member["id"].rsplit("/", 1)[0] for member in c["members"]} for c in found["clusters"]]
    assert len(pairs) == 10, "and no other two images are taken for copies"
    assert all(pair in ({"no", f"{part}/notumor"} for part in PARTS) for pair in pairs)
