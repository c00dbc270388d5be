"""``slices:ARCH@WEIGHTS``: a backbone for images on the slices of volumes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import mritk_slices
import mritk_small_cnn
from mritk import Architecture, BackboneFamily, InputContract, Weights, hookimpl
from mritk.cards.backbone_card import backbone_card
from mritk.errors import HookError, MritkError, UnknownName, UsageError
from mritk.files.workspace import Workspace
from mritk.model.backbone import load_backbone
from mritk.model.blocks import blocks_of
from mritk.plugins.registry import Registry
from mritk.records import Origin
from mritk.study.rehearsal import without_weights
from mritk.testing import check_backbone

VOLUMES = """
import numpy as np
from mritk import Dataset, Regression, Samples, hookimpl


def read(i):
    coarse = np.random.default_rng(i).integers(0, 120, (6, 8, 8)).astype(np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2) + np.uint8(3 * i)


def open_boxes(workspace):
    ids = [f"box-{i:02d}" for i in range(40)]
    values = np.arange(40.0)
    return Samples(ids, values, Regression("grey"), read, spatial_dims=3, patients=ids)


@hookimpl
def mritk_datasets():
    yield Dataset("boxes", open_boxes, summary="boxes of many brightnesses")
"""


def build_tiny() -> nn.Module:
    layers = [nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3, 2, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def tiny_blocks(network):
    names = list(network.state_dict())
    return [("stem", names[:7]), ("body", names[7:])]


def itself(path: Path, workspace: Workspace) -> Path:
    return path


FIXED = InputContract(16, interpolation="bicubic", channel_order="BGR", fixed=True)


class Tiny:
    """Networks of a size of their own, and one for volumes."""

    def __init__(self, weights):
        self.weights = weights

    @hookimpl
    def mritk_backbones(self):
        yield Architecture("tiny", build_tiny, FIXED, tiny_blocks, default_weights="ours")
        yield Weights(
            "tiny", "ours", partial(itself, self.weights), license="CC0", pretrained_on=("x",)
        )
        yield Architecture("volumes", build_tiny, spatial_dims=3)


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(7)
    path = tmp_path / "tiny.safetensors"
    save_file(build_tiny().state_dict(), path)
    return path


@pytest.fixture
def registry(weights):
    found = Registry()
    found.register(mritk_slices, Origin("slices"))
    found.register(mritk_small_cnn, Origin("small_cnn"))
    found.register(Tiny(weights), Origin("tiny"))
    return found


@pytest.fixture
def load(registry, tmp_path):
    return lambda name: load_backbone(registry.backbone(name), Workspace(tmp_path), 0, 32).network


VOLUME = torch.rand(2, 3, 12, 16, 20, generator=torch.Generator().manual_seed(0))


# -- what it computes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axis", "slices", "places"),
    [("axial", 3, [2, 6, 10]), ("coronal", 4, [2, 6, 10, 14]), ("sagittal", 2, [5, 15])],
)
@pytest.mark.parametrize("pool", ["mean", "max"])
def test_its_features_are_those_of_the_slices_pooled(load, pool, axis, slices, places):
    network = load(f"slices:small_cnn,axis={axis},slices={slices},pool={pool},size=32")
    number = {"axial": 2, "coronal": 3, "sagittal": 4}[axis]
    with torch.no_grad():
        found, each = network(VOLUME), []
        for place in places:
            image = VOLUME.select(number, place)
            image = nn.functional.interpolate(image, (32, 32), mode="bilinear", antialias=True)
            each.append(network.network(image))
    pooled = torch.stack(each).mean(0) if pool == "mean" else torch.stack(each).amax(0)
    torch.testing.assert_close(found, pooled)


def test_every_slice_as_it_is_where_the_network_takes_any_size(load):
    network = load("slices:small_cnn,slices=16")
    volumes = torch.rand(2, 3, 16, 32, 40)
    with torch.no_grad():
        each = [network.network(volumes[:, :, place]) for place in range(16)]
        torch.testing.assert_close(network(volumes), torch.stack(each).mean(0))


def test_attention_starts_as_the_mean_and_learns_to_choose(load):
    network, mean = load("slices:tiny,pool=attention"), load("slices:tiny")
    with torch.no_grad():
        torch.testing.assert_close(network(VOLUME), mean(VOLUME))
    optimiser = torch.optim.Adam(network.gate.parameters(), 0.05)
    for _ in range(20):
        optimiser.zero_grad()
        network(VOLUME)[:, 0].sum().backward()
        optimiser.step()
    with torch.no_grad():
        assert (network(VOLUME)[:, 0] < mean(VOLUME)[:, 0] - 1e-4).all()


def test_counting_features_for_attention_leaves_the_network_as_it_was_built():
    from mritk_slices.network import build

    torch.manual_seed(0)
    alone = build_tiny()
    torch.manual_seed(0)
    within = build(build_tiny, FIXED, mritk_slices.SliceOptions("attention")).network
    assert within.training
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(within.state_dict()[name], tensor, rtol=0, atol=0)


# -- weights, blocks, names ------------------------------------------------------------------------


@pytest.mark.parametrize("pool", ["mean", "max", "attention"])
@pytest.mark.parametrize("name", ["ours", "file:{path}"])
def test_weights_of_images_load_bit_for_bit(registry, weights, tmp_path, pool, name):
    backbone = registry.backbone(f"slices:tiny@{name.format(path=weights)},pool={pool}")
    loaded = load_backbone(backbone, Workspace(tmp_path), 0, 16)
    for tensor, expected in load_file(weights).items():
        found = loaded.network.state_dict()[f"network.{tensor}"]
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert loaded.report.matched == len(load_file(weights))
    assert len(loaded.report.exempt) == (3 if pool == "attention" else 0)


def test_the_input_contract_has_the_grey_levels_of_the_weights_and_room_for_the_slices(registry):
    contract = registry.backbone("slices:tiny,slices=5").input
    assert (contract.mean, contract.std) == (FIXED.mean, FIXED.std)
    assert (contract.channel_order, contract.size) == ("BGR", None)
    assert [contract.takes(side) for side in (4, 5)] == [False, True]


def test_blocks_are_those_of_the_images_and_the_gate_is_the_last(registry):
    backbone = registry.backbone("slices:tiny,pool=attention")
    blocks = blocks_of(backbone.architecture.build(), backbone.architecture)
    assert [block.name for block in blocks] == ["stem", "body", "gate"]
    plain = registry.backbone("small_cnn").architecture
    around = registry.backbone("slices:small_cnn").architecture
    names = [block.name for block in blocks_of(plain.build(), plain)]
    assert [block.name for block in blocks_of(around.build(), around)] == names


def test_one_name_however_it_is_typed(registry):
    typed = [
        "slices:tiny@ours,pool=max,slices=4",
        "slices:tiny,slices=4,pool=max@ours",
        "slices:tiny,pool=max@ours,slices=4,axis=axial",
        "slices:tiny,pool=max,slices=4",
    ]
    found = [registry.backbone(name) for name in typed]
    assert {backbone.name for backbone in found} == {"slices:tiny,pool=max,slices=4@ours"}
    assert len({str(backbone.identity) for backbone in found}) == 1


@pytest.mark.parametrize("option", ["pool=max", "axis=coronal", "slices=4", "size=16"])
def test_every_option_is_another_backbone(registry, option):
    default, other = (registry.backbone(n) for n in ("slices:tiny", f"slices:tiny,{option}"))
    assert default.identity != other.identity
    assert default.name != other.name


def test_it_is_said_who_provides_which_part(registry):
    outer, inner = registry.backbone("slices:tiny").chain
    assert [b.architecture.origin.plugin for b in (outer, inner)] == ["slices", "tiny"]
    assert outer.weights.origin.plugin == "tiny"
    assert outer.normalised("imagenet").inner is inner
    assert "made around | tiny of tiny" in backbone_card(outer)


def test_a_one_file_plugin_inside_is_part_of_the_identity(registry, weights):
    identities = []
    for digest in ("1" * 64, "2" * 64):
        found = Registry()
        found.register(mritk_slices, Origin("slices"))
        found.register(Tiny(weights), Origin("tiny", "tiny.py", f"sha256:{digest}"))
        identities.append(found.backbone("slices:tiny").identity)
    assert identities[0] != identities[1]


def test_a_rehearsal_keeps_the_options_and_needs_no_file(registry):
    (backbone,) = without_weights(["slices:tiny@file:/nowhere.pt,pool=max,slices=3"], registry)
    assert backbone.name == "slices:tiny,pool=max,slices=3@scratch"


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("slices:volumes", "slices: needs a backbone for images, and volumes@scratch is none"),
        ("slices:slices:tiny", "needs a backbone for images, and slices:tiny@ours is none"),
        ("slices:tiny,pol=max", "slices: has no option 'pol'; did you mean pool"),
        ("slices:tiny,pool=median", "slices: option pool=median"),
        ("slices:tiny,slices=0", "use 1 or more slices"),
        ("slices:tiny,size=8", "tiny@ours does not take images of 8 px"),
    ],
)
def test_what_cannot_be_is_refused_by_name(registry, name, message):
    with pytest.raises(UsageError, match=message):
        registry.backbone(name)


@pytest.mark.parametrize("name", ["slices:tinny", "slices:tiny@theirs"])
def test_an_unknown_inner_name_is_explained_like_any_other(registry, name):
    with pytest.raises(UnknownName, match=r"did you mean tiny|there is tiny@ours"):
        registry.backbone(name)


def test_fewer_slices_than_are_asked_for_are_refused(registry, load, tmp_path):
    network = load("slices:tiny,slices=12,axis=sagittal")
    with pytest.raises(UsageError, match=r"have 10 sagittal slices, fewer than slices=12"):
        network(torch.zeros(1, 3, 32, 32, 10))
    deep = registry.backbone("slices:tiny,slices=40")
    with pytest.raises(MritkError, match=r"size 32 .*have 32 axial slices"):
        load_backbone(deep, Workspace(tmp_path), 0, 32)


@pytest.mark.parametrize(
    ("made", "message"), [([], "an architecture"), ([Architecture("n", build_tiny)], "weights")]
)
def test_a_family_that_returns_too_little_is_named(registry, made, message):
    family = BackboneFamily("half", lambda inner: made, wraps=True)
    plugin = type("P", (), {"mritk_backbones": hookimpl(lambda self: [family])})()
    registry.register(plugin, Origin("half"))
    with pytest.raises(HookError, match=f"half:tiny of half: resolve must return {message}"):
        registry.backbone("half:tiny")
    with pytest.raises(UsageError, match="half: has no options, but half:tiny,x=1 has x"):
        registry.backbone("half:tiny,x=1")


# -- as a user has it ------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", ",pool=max", ",pool=attention,slices=3,axis=coronal"])
@pytest.mark.parametrize("inner", [pytest.param("small_cnn", marks=pytest.mark.slow), "tiny"])
def test_it_keeps_all_promises_of_a_backbone(registry, workspace, inner, options):
    check_backbone(registry.backbone(f"slices:{inner}{options}"), workspace)


@pytest.fixture
def boxes(tmp_path):
    path = tmp_path / "boxes.py"
    path.write_text(VOLUMES)
    return ["-p", str(path), "-d", "boxes", "--seeds", "1", "-o", str(tmp_path / "results")]


def test_it_is_named_where_a_backbone_of_images_meets_volumes(mritk, boxes):
    ended = mritk("run", *boxes, "-b", "small_cnn", "-n")
    assert ended.code == 2
    assert "or -b slices:small_cnn@scratch for the same network on slices" in ended.err


@pytest.mark.slow
def test_a_run_of_volumes_ends_in_a_leaderboard(mritk, boxes):
    backbone = ("-b", "slices:small_cnn,slices=3", "--protocol", "linear_probe")
    ended = mritk("run", *boxes, *backbone)
    assert ended.code == 0, ended.err
    assert "slices:small_cnn,slices=3@scratch" in ended.out
    assert "MAE" in ended.out
