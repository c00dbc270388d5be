"""The core knows no backbone, dataset or augmentation of a plugin by name, and works without."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from mritk import Method, hookimpl
from mritk.errors import DuplicateName, ProtocolError
from mritk.plugins.registry import Registry
from mritk.records import (
    Alias,
    Architecture,
    Augmentation,
    BackboneFamily,
    BenchmarkFile,
    Dataset,
    DatasetFamily,
)
from mritk.study.benchmark import Benchmark
from mritk.testing.plugin import PluginUnderTest, benchmarks_can_be_read

CORE = Path(__file__).parents[1] / "mritk"
# Names that are words of the field or libraries, which the core means where it says them.
WORDS = {"affine", "augmented", "bids", "blur", "brats", "crop", "dicom", "flip", "folder", "gamma"}
WORDS |= {"hf", "manifest", "motion", "mri", "none", "slices", "spike", "swap", "tiles", "timm"}
WORDS |= {"torchvision"}


def provided_names() -> set[str]:
    registry = Registry.load(environ={})
    kinds = (Architecture, Alias, BackboneFamily, Augmentation, Dataset, DatasetFamily)
    records = [record for kind in kinds for record in registry.records(kind)]
    return {getattr(r, "name", None) or r.prefix for r in records} - WORDS


def texts(path: Path) -> list[str]:
    """The strings of a source but its docstrings, in which examples of commands stand."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
    ]


@pytest.mark.slow
def test_no_name_of_a_provided_backbone_dataset_or_augmentation_stands_in_the_core():
    names = provided_names()
    assert {"small_cnn", "phantom", "rand_augment", "medmnist"} <= names
    found = [
        (path.relative_to(CORE).as_posix(), word)
        for path in sorted(CORE.rglob("*.py"))
        for text in texts(path)
        for word in re.findall(r"\w+", text)
        if word in names
    ]
    assert found == []


def test_the_search_finds_a_name(tmp_path):
    (tmp_path / "planted.py").write_text('"""Not phantom."""\nDEFAULT = ("phantom:x",)\n')
    assert texts(tmp_path / "planted.py") == ["phantom:x"]


# -- the augmentation none -------------------------------------------------------------------------


@pytest.mark.slow
def test_images_stay_as_they_are_whichever_plugins_are_loaded(run_toy):
    ended = run_toy("-p", "no:augment", "--seeds", 1, "-a", "none", "--json")
    assert ended.code == 0, ended.err
    none = Registry().augmentation("none")
    assert (none.apply, none.spatial_dims) == (None, (2, 3))


def test_a_plugin_with_a_none_of_its_own_is_the_one_to_be_switched_off():
    class Second:
        @hookimpl
        def mritk_augmentations(self):
            yield Augmentation("none", None)

    registry = Registry()
    registry.register(Second())
    with pytest.raises(DuplicateName, match=r"mritk-bench .*\(mritk\) and Second; .*-p no:Second"):
        registry.augmentation("none")


@dataclass(frozen=True)
class Parameters:
    pass


class OwnModel:
    @hookimpl
    def mritk_methods(self):
        yield Method("own", lambda setup: None, Parameters, uses_backbone=False)


# -- what a run compares where nothing is named ----------------------------------------------------


def test_the_usual_benchmark_is_that_of_a_plugin():
    usual = Benchmark().completed(Registry.load(environ={}))
    assert usual.backbones == ("linear_pixels@scratch", "efficientnet_lite0@imagenet")
    assert (usual.datasets, usual.protocols) == (("phantom",), ("quick",))


def test_what_is_named_takes_the_place_of_what_is_usual():
    registry = Registry.load(environ={})
    asked = Benchmark(backbones=("vgg16",), datasets=("tiles",), protocols=("standard",))
    assert asked.completed(registry) == asked
    one = Benchmark(datasets=("tiles",)).completed(registry)
    assert (one.datasets, one.protocols, len(one.backbones)) == (("tiles",), ("quick",), 2)


def test_a_method_with_a_model_of_its_own_needs_no_backbone(tmp_path):
    registry = Registry.load(environ={})
    registry.register(OwnModel())
    (tmp_path / "own.toml").write_text('method = "own"\n')
    asked = Benchmark(protocols=(str(tmp_path / "own.toml"),))
    assert asked.completed(registry).backbones == ()
    both = Benchmark(protocols=(*asked.protocols, "quick"))
    assert len(both.completed(registry).backbones) == 2


def test_without_that_plugin_a_run_asks_for_names(mritk, tmp_path):
    ended = mritk("run", "-p", "no:finetune", "-n", "-o", tmp_path / "results")
    assert ended.code == 2
    assert "a backbone, a dataset and a protocol" in ended.err


def test_the_checks_of_plugins_read_benchmarks():
    class Benchmarks:
        @hookimpl
        def mritk_benchmarks(self):
            yield BenchmarkFile("ours", lambda: "backbone = []", summary="with a slip of the pen")

    registry = Registry()
    plugin = registry.register(Benchmarks())
    with pytest.raises(ProtocolError, match="benchmark ours, line 1: backbone: unknown key"):
        benchmarks_can_be_read(PluginUnderTest(plugin, registry))
