"""Every plugin of this repository keeps what plugins promise."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mritk import Architecture, Dataset, Explainer, ProtocolFile, Weights
from mritk.plugins.loading import name_of
from mritk.plugins.registry import Registry
from mritk.testing.backbone import inspect_backbone
from mritk.testing.plugin import inspect_named
from mritk_phantom.recipe import Recipe
from mritk_volumes import from_monai

REGISTRY = Registry.load(environ={})
PLUGINS = [plugin.origin.plugin for plugin in REGISTRY.plugins if plugin.state == "loaded"]
# Those with large or many networks, with much to make, or with trainings.
SLOW = {"timm", "radimagenet", "lvmmed", "phantom", "finetune", "processes", "ray"}
# Built like resnet18_3d, which stands for them here; tests/plugins/volumes has their layers.
LARGER = {"resnet34_3d", "resnet50_3d"}
SIDE = 96


def marked(name):
    return pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])


@pytest.fixture
def made_small(monkeypatch, shallow, tmp_path):
    """Shallow networks at up to 96 px, phantoms of voxels of 8 mm, few steps: a tenth of the time.

    That whole networks take the side of their contract, and any other, and that their stages hold
    all their tensors, is asked in tests/plugins/timm and tests/plugins/volumes; what phantoms are
    made of by default, in tests/plugins/phantom.
    """
    for module in ("network_under_test", "backbone"):
        monkeypatch.setattr(f"mritk.testing.{module}.ANY_SIDE", 32)
    monkeypatch.setattr(from_monai, "_networks", partial(with_small_vit, from_monai._networks))
    # Weights of whole networks, which a person may have, do not fit.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    small = [
        replace(plugin, records=tuple(smaller(r) for r in plugin.records if not larger(r)))
        for plugin in REGISTRY.plugins
    ]
    monkeypatch.setattr(REGISTRY, "plugins", small)


def with_small_vit(networks, name):
    """Return MONAI's networks, and in place of its ViT of 86 million values a small one."""
    found = networks(name)
    small = partial(found.ViT, hidden_size=96, mlp_dim=384, num_layers=3, num_heads=3)
    return SimpleNamespace(ViT=small, DenseNet121=found.DenseNet121, ResNet=found.ResNet)


def larger(record):
    name = getattr(record, "architecture", None) or getattr(record, "name", "")
    return isinstance(record, (Architecture, Weights)) and name in LARGER


def smaller(record):
    contract = record.input if isinstance(record, (Architecture, Weights)) else None
    if contract and isinstance(contract.size, int):
        return replace(record, input=replace(contract, size=min(contract.size, SIDE)))
    if isinstance(record, Dataset) and record.name.startswith("phantom"):
        return replace(record, open=coarse(record.open), is_generated=coarse(record.is_generated))
    if isinstance(record, ProtocolFile):
        return replace(record, text=partial(shortened, record.text))
    if isinstance(record, Explainer) and record.name == "meaningful_perturbation":
        return replace(record, explain=partial(record.explain, steps=30))
    return record


def shortened(text):
    """Return a protocol's text with few epochs, generations between validations, and channels."""
    few = re.sub(r"(?m)^(report_every|epochs) = \d+$", r"\1 = 3", text())
    if re.search(r'(?m)^method = "(fader|unet3d|domain_unet)"$', few):  # else 32, 16 and 16
        few = few.replace("[parameters]\n", "[parameters]\nwidth = 4\n")
    return few


def coarse(function):
    """Return a function of a phantom's recipe with that of a coarse one of fewer patients."""
    given = (
        replace(a, resolution=8, patients=a.patients // 20) if isinstance(a, Recipe) else a
        for a in function.args
    )
    return partial(function.func, *given, **function.keywords)


@pytest.fixture
def running_ray():
    """Ray on this machine: started once, and not for each promise."""
    ray = pytest.importorskip("ray", reason="needs the extra 'ray'")
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("made_small")
@pytest.mark.parametrize("name", [marked(name) for name in PLUGINS])
def test_a_plugin_of_the_repository_keeps_every_promise(name, workspace, request):
    if name == "ray":
        request.getfixturevalue("running_ray")
    verdicts = list(inspect_named(name, REGISTRY, workspace))
    assert [v for v in verdicts if v.state == "failed"] == []
    assert sum(verdict.state == "passed" for verdict in verdicts) >= 2


@pytest.mark.slow
def test_a_member_of_a_family_keeps_every_promise(workspace):
    for name in ("timm:resnet10t@scratch", "torchvision:mobilenet_v3_small@scratch"):
        verdicts = list(inspect_backbone(REGISTRY.backbone(name), workspace))
        assert [v for v in verdicts if v.state == "failed"] == []


def test_nothing_is_left_out():
    """The plugins above are those that the distribution names, and provide what is listed."""
    from importlib.metadata import entry_points

    own = {point.name for point in entry_points(group="mritk")}
    assert set(PLUGINS) == own
    assert "small_cnn" in {name_of(record) for record in REGISTRY.records(Architecture)}


@pytest.fixture
def pictures(tmp_path):
    """Two classes of eight images, as folders and as a table."""
    generator = np.random.default_rng(0)
    lines = ["path,label,patient"]
    for number in range(16):
        path = tmp_path / "pictures" / "ab"[number % 2] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (20, 20), np.uint8)).save(path)
        lines.append(f"{path.relative_to(tmp_path)},{'ab'[number % 2]},p{number // 2}")
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.parametrize("name", ["folder:pictures", "manifest:table.csv"])
def test_files_of_anybody_keep_every_promise(pictures, name, workspace, monkeypatch):
    monkeypatch.chdir(pictures)
    verdicts = list(inspect_named(name, REGISTRY, workspace))
    assert [v for v in verdicts if v.state == "failed"] == []
    assert sum(verdict.state == "passed" for verdict in verdicts) >= 9
