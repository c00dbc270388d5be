"""MedicalNet's and BrainIAC's files: their layouts, loaded with proof; synthetic tensors."""

from __future__ import annotations

import pytest
import torch

from mritk import Unavailable
from mritk.errors import WeightsMismatch
from mritk.model.backbone import load_backbone
from mritk.plugins.registry import Registry
from mritk_volumes.published import BRAINIAC, VARIABLE
from tests.outlines import outlines
from tests.undrawn import Undrawn

pytestmark = pytest.mark.slow


def networks():
    """MONAI's, whose import takes seconds."""
    return pytest.importorskip("monai.networks.nets", reason="the networks are MONAI's")


@pytest.fixture(scope="module", autouse=True)
def _monai():
    networks()


@pytest.fixture(scope="module")
def registry():
    return Registry.load(environ={})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the user keeps the files."""
    path = tmp_path / "files"
    path.mkdir()
    monkeypatch.setenv(VARIABLE, str(path))
    return path


@pytest.fixture
def loaded(registry, workspace):
    def load(name, size):
        with Undrawn():
            return load_backbone(registry.backbone(name), workspace, seed=0, size=size)

    return load


def volumes(side: int) -> torch.Tensor:
    return torch.randn(1, 1, side, side, side, generator=torch.Generator().manual_seed(1))


def medicalnet(depth: int, **options) -> torch.nn.Module:
    """The network that MONAI fills from MedicalNet's file, with random values."""
    nets = networks()
    torch.manual_seed(depth)
    chosen = {"spatial_dims": 3, "n_input_channels": 1, "feed_forward": False}
    shortcut, bias = nets.resnet.get_medicalnet_pretrained_resnet_args(depth)[::-1]
    chosen |= {"shortcut_type": shortcut, "bias_downsample": bias, "conv1_t_stride": 2}
    network = getattr(nets, f"resnet{depth}")(**chosen | options)
    for name, tensor in network.state_dict().items():  # of BatchNorm, which a mistake would show
        if name.endswith(("running_var", "bn1.weight", "bn2.weight", "bn3.weight")):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            tensor.uniform_(-0.1, 0.1)
    return network.eval()


def saved(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Its tensors as ``DataParallel`` and torch before 0.4.1 save them: no counters."""
    return {
        f"module.{name}": tensor
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_a_resnet_gives_the_features_of_the_network_that_was_saved(depth, loaded, folder):
    reference = medicalnet(depth)
    torch.save({"state_dict": saved(reference)}, folder / f"resnet_{depth}_23dataset.pth")
    found = loaded(f"resnet{depth}_3d@medicalnet", 32)
    with torch.inference_mode():
        expected = reference(volumes(32))
        torch.testing.assert_close(found.network(volumes(32)), expected)
    assert expected.std() > 0.01
    assert found.report.complete
    assert found.report.matched + len(found.report.exempt) == found.report.total
    assert all(name.endswith("num_batches_tracked") for name in found.report.exempt)


def test_a_file_of_another_depth_or_a_tensor_too_many_or_too_few_is_refused(loaded, folder):
    with torch.device("meta"):  # names and shapes alone
        tensors, deeper = (outlines(saved(medicalnet(depth))) for depth in (18, 34))
    for broken in (
        deeper,
        tensors | {"module.conv_seg.0.weight": torch.zeros(3)},
        {n: t for n, t in tensors.items() if n != "module.layer4.1.conv2.weight"},
        tensors | {"module.conv1.weight": torch.zeros(64, 3, 7, 7, 7)},
    ):
        torch.save({"state_dict": broken}, folder / "resnet_18_23dataset.pth")
        with pytest.raises(WeightsMismatch, match="nothing was loaded"):
            loaded("resnet18_3d@medicalnet", 32)
    torch.save({"state_dict": tensors}, folder / "resnet_18_23dataset.pth")
    assert loaded("resnet18_3d@medicalnet", 32).report.matched == len(tensors)


def brainiac() -> torch.nn.Module:
    """The network of the published code, which loads it from names with ``backbone.``."""
    torch.manual_seed(0)
    network = networks().ViT(
        in_channels=1,
        img_size=(96, 96, 96),
        patch_size=(16, 16, 16),
        hidden_size=768,
        mlp_dim=3072,
        num_layers=12,
        num_heads=12,
        save_attn=True,
    )
    return network.eval()


def test_the_vit_gives_the_first_token_of_the_network_that_was_saved(loaded, folder):
    reference = brainiac()
    with torch.inference_mode():
        expected = reference(volumes(96))[0][:, 0]
    tensors = {f"backbone.{name}": tensor for name, tensor in reference.state_dict().items()}
    unused = {"backbone.blocks.0.cross_attn.qkv.weight": torch.zeros(2)}
    unused |= {"projector.0.weight": torch.zeros(128, 768)}
    torch.save({"state_dict": tensors | unused}, folder / BRAINIAC)
    del tensors["backbone.norm.weight"]
    torch.save({"state_dict": tensors}, folder / "short.pt")
    del tensors, reference  # 350 MB, and as much again in the file and in what is loaded

    found = loaded("vit_b_3d@brainiac", 96)
    with torch.inference_mode():
        torch.testing.assert_close(found.network(volumes(96)), expected, atol=1e-5, rtol=1e-5)
    assert found.report.complete and not found.report.exempt

    del found
    (folder / "short.pt").replace(folder / BRAINIAC)
    with pytest.raises(WeightsMismatch, match=r"1 missing \(backbone.norm.weight\)"):
        loaded("vit_b_3d@brainiac", 96)


def test_a_missing_file_says_where_it_comes_from_and_where_to_put_it(loaded):
    for name, source in (
        ("resnet50_3d@medicalnet", "TencentMedicalNet/MedicalNet-Resnet50"),
        ("vit_b_3d@brainiac", "github.com/AIM-KannLab/BrainIAC"),
    ):
        with pytest.raises(Unavailable, match=source) as told:
            loaded(name, 32)
        assert VARIABLE in str(told.value)
