"""What is refused before data are read: sizes and networks that cannot be trained."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mritk import Architecture, Augmentation, InputContract, UsageError
from mritk.backbone import Backbone
from mritk.plugins.registry import Registry
from mritk.study.refusals import (
    protocols_of,
    require_fit,
    require_large_enough,
    require_size,
    require_storable,
)


def sized(dims: int, contract: InputContract, **sizes: int | None) -> None:
    protocol = SimpleNamespace(name="quick", **({"image_size": None, "volume_size": None} | sizes))
    backbone = Backbone(Architecture("net", lambda: None, contract, spatial_dims=dims))
    require_size(SimpleNamespace(spatial_dims=dims), backbone, protocol)


@pytest.mark.parametrize(
    ("dims", "size", "message"),
    [
        (2, 224, r"net@scratch takes images of size 224 only, .*; use --vary image_size=224, or"),
        (3, 96, r"takes volumes of size 96 only, but protocol quick has volume_size = 64; use --v"),
        (
            3,
            (96, 96, 96),
            r"takes volumes of size 96×96×96 only, .*; use --vary volume_size=96, or",
        ),
        (3, (96, 96, 64), r"takes volumes of size 96×96×64 only.*; use another backbone"),
    ],
)
def test_a_network_for_one_size_alone_is_refused_at_another(dims, size, message):
    with pytest.raises(UsageError, match=message):
        sized(dims, InputContract(size, fixed=True), image_size=64, volume_size=64)


@pytest.mark.parametrize(
    ("dims", "size", "message"),
    [
        (
            2,
            224,
            "images of 65 pixels or more along each axis, .* use --vary image_size=65 or more",
        ),
        (3, None, "volumes of 65 voxels or more along each axis, but protocol quick has volume_si"),
    ],
)
def test_a_size_below_the_smallest_that_a_network_takes_is_refused(dims, size, message):
    with pytest.raises(UsageError, match=message):
        sized(dims, InputContract(size, minimum=65), image_size=64, volume_size=64)


def test_sizes_that_may_do_are_not_refused():
    sized(2, InputContract(224, fixed=True), image_size=224, volume_size=64)
    sized(2, InputContract(224, fixed=True), volume_size=64)
    sized(3, InputContract((96, 96, 96), fixed=True), volume_size=96)
    sized(2, InputContract(224, minimum=96), image_size=96)
    sized(2, InputContract(224), image_size=64)


def as_read(contract: InputContract, shape: tuple[int, ...], *, inner=None, **given) -> None:
    samples = SimpleNamespace(ids=["large", "small"], spatial_dims=3, channels=(), **given)
    protocol = SimpleNamespace(name="quick", image_size=None, volume_size=None)
    made = Architecture("net", lambda: None, contract, spatial_dims=3)
    shapes = [tuple(64 for _ in shape), shape]
    require_large_enough(samples, shapes, Backbone(made, inner=inner), protocol)


def test_samples_smaller_than_a_network_takes_are_refused_where_they_stay_as_they_are():
    told = (
        "net@scratch takes volumes of 32 voxels or more along each axis, but small has "
        "40 × 31 × 40; use --vary volume_size=32 or more"
    )
    with pytest.raises(UsageError, match=told):
        as_read(InputContract(None, minimum=32), (40, 31, 40))
    as_read(InputContract(None, minimum=31), (40, 31, 40))
    as_read(InputContract(48, minimum=32), (40, 31, 40))  # brought to 48
    as_read(InputContract(None), (40, 31, 40))
    # The smallest side of one around another network is that of its slices' axis.
    as_read(InputContract(None, minimum=32), (40, 31, 40), inner=Backbone(None))


CAREFUL = """
from dataclasses import dataclass
from mritk import Dataset, Method, ProtocolFile, UsageError, hookimpl


@dataclass(frozen=True)
class Nothing:
    pass


def refuse(backbone):
    if backbone.weights is None:
        raise UsageError(f"careful cannot train {backbone.name}: no weights")


def never(*given):
    raise SystemExit("reached")


@hookimpl
def mritk_methods():
    yield Method("careful", never, Nothing, uses_augmentation=False, check_backbone=refuse)


@hookimpl
def mritk_datasets():
    yield Dataset("unread", never)


@hookimpl
def mritk_protocols():
    yield ProtocolFile("careful", lambda: 'method = "careful"\\naugmentation = "none"')
"""


def test_a_method_refuses_a_backbone_before_data_are_opened(mritk, tmp_path):
    plugin = tmp_path / "careful.py"
    plugin.write_text(CAREFUL)
    call = ("run", "-p", plugin, "-d", "unread", "--protocol", "careful", "-b", "small_cnn")
    for how in ("--dry-run", "--rehearse"):
        ended = mritk(*call, how)
        assert ended.code == 2
        assert "careful cannot train small_cnn@scratch: no weights" in ended.err


@pytest.mark.parametrize("name", ["folder:caf\udce9", "a\0b"])
def test_a_name_that_no_trial_file_can_hold_is_refused_before_training(name):
    with pytest.raises(UsageError, match="not valid text, so its trials could not be stored"):
        require_storable("dataset", ["bands", name])
    require_storable("dataset", ["bands", "folder:café"])


@pytest.mark.parametrize("channels", [("t1", "t2", "flair"), ("t1", "t1c", "t2", "flair")])
def test_an_augmentation_of_colours_is_refused_on_several_named_channels(channels):
    def fit(channels, **fields):
        samples = SimpleNamespace(spatial_dims=2, channels=channels)
        augmentation = Augmentation("vivid", lambda images, generator: images, **fields)
        require_fit(SimpleNamespace(name="cases"), samples, None, augmentation, None)

    told = rf"vivid takes grey or colour images, but cases has {len(channels)} channels \(t1, .*\)"
    with pytest.raises(UsageError, match=told):
        fit(channels, named_channels=False)
    fit(channels)
    fit(("t1",), named_channels=False)
    fit((), named_channels=False)


def test_protocols_of_a_methods_own_plugin_are_named_before_those_of_studies():
    registry = Registry.load(environ={})
    found = protocols_of(["finetune", "linear_probe"], registry)
    assert found[:2] == ["linear_probe", "lpft"]
    assert found.index("standard") < found.index("abedini2025_replica")
