"""A name without the option in front of it is answered with what to type."""

from __future__ import annotations

import re

import pytest

from mritk.plugins.registry import Registry
from mritk.study.name_hint import name_hint

TOLD = [
    ("phantom", "specify the dataset as -d phantom"),
    ("phantom,patient_regex=x", "specify the dataset as -d phantom,patient_regex=x"),
    ("phantom3d", "specify the dataset as -d phantom3d"),
    ("phantom3d,target=age", "specify the dataset as -d phantom3d,target=age"),
    ("folder:my images", "specify the dataset as -d 'folder:my images'"),
    ("small_cnn", "specify the backbone as -b small_cnn"),
    ("resnet18@imagenet", "specify the backbone as -b resnet18@imagenet"),
    ("timm:resnet18", "specify the backbone as -b timm:resnet18"),
    ("hf:a/b", "specify the dataset as -d hf:a/b or the backbone as -b hf:a/b"),
]


@pytest.fixture(scope="module")
def registry():
    return Registry.load()


@pytest.mark.parametrize(("name", "told"), TOLD, ids=[name for name, _ in TOLD])
def test_fetch_says_what_stands_in_front_of_a_name(mritk, name, told):
    ended = mritk("fetch", name)
    assert ended.code == 2
    assert ended.err.rstrip().endswith(f"{name} stands without an option; {told}")
    assert not ended.out


@pytest.mark.parametrize(
    ("name", "told"),
    [*TOLD, ("flip", "the augmentation as -a flip"), ("quick", "the protocol as --protocol quick")],
)
def test_so_does_run(mritk, name, told):
    ended = mritk("run", name)
    assert ended.code == 4
    assert re.search(f"no benchmark file {re.escape(name)}; .*{re.escape(told)}$", ended.err)


@pytest.mark.parametrize("name", ["nothing", "folder:", "folder", "phantom3dim", "@imagenet", ""])
def test_of_other_names_nothing_is_said(name, registry):
    assert name_hint(name, registry) == ""


def test_what_is_told_is_understood(registry):
    told = dict(TOLD)
    for name in ("phantom", "phantom3d,target=age"):
        assert registry.dataset(told[name].partition(" -d ")[2]).name == name
    for name in ("small_cnn", "resnet18@imagenet"):
        assert registry.backbone(told[name].partition(" -b ")[2]).name.startswith(name)


def test_fetch_takes_neither_protocols_nor_benchmarks(mritk, tmp_path):
    for name in ("quick", "quickstart", "nothing"):
        ended = mritk("fetch", name, "-d", "phantom")
        assert ended.code == 2
        assert "specify what to download as -d DATASET or -b BACKBONE" in ended.err
    (tmp_path / "imgs" / "a").mkdir(parents=True)
    (tmp_path / "imgs" / "a" / "1.png").touch()
    path = tmp_path / "imgs"
    assert f"for this path, use -d folder:{path}" in mritk("fetch", path).err
