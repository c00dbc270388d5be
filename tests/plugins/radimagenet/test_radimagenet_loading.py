"""RadImageNet's files fill the networks completely, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

import mritk_radimagenet
import mritk_timm
from mritk.errors import WeightsMismatch
from mritk.files.workspace import Workspace
from mritk.model.backbone import LoadedBackbone, load_backbone
from mritk.model.weights import load_proven
from mritk.plugins.registry import Registry
from mritk.records import Origin, Weights
from mritk_radimagenet.contracts import CONTRACTS
from mritk_radimagenet.files import FILES, VARIABLE

pytest.importorskip("timm")
models = pytest.importorskip("torchvision.models")

State = dict[str, torch.Tensor]


class Official(nn.Module):
    """The wrapper of RadImageNet's notebook: a torchvision network without its last child."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.backbone = nn.Sequential(*list(network.children())[:-1])


def densenet_features(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """As torchvision's DenseNet does it: neither step is a module of the network."""
    return torch.relu(network.features(batch)).mean((2, 3))


def features_before_fc(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    network.fc = nn.Identity()
    return network(batch)


@dataclass(frozen=True)
class Source:
    """A torchvision network in the place of the one that RadImageNet trained."""

    build: Callable[[], nn.Module]
    features: Callable[[nn.Module, torch.Tensor], torch.Tensor]


SOURCES = {
    "densenet121": Source(models.densenet121, densenet_features),
    "resnet50": Source(models.resnet50, features_before_fc),
    "inception_v3": Source(
        lambda: models.inception_v3(weights=None, aux_logits=False, init_weights=False),
        features_before_fc,
    ),
}


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.register(mritk_timm, Origin("timm"))
    registry.register(mritk_radimagenet, Origin("radimagenet"))
    return registry


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv(VARIABLE, raising=False)
    return Workspace(tmp_path, offline=True)


def save(state: State, architecture: str, workspace: Workspace) -> None:
    torch.save(state, workspace.folder("weights", "radimagenet") / FILES[architecture])


def lively(network: nn.Module) -> nn.Module:
    """Give the BatchNorms statistics and scales that differ, so that a swap would be seen."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            for tensor in (module.bias.data, module.running_mean):
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
    return network.eval()


def load(name: str, registry: Registry, workspace: Workspace) -> LoadedBackbone:
    return load_backbone(registry.backbone(name), workspace, seed=0, size=96)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", SOURCES)
def test_features_equal_those_of_the_network_that_was_saved(
    architecture: str, registry: Registry, workspace: Workspace
) -> None:
    torch.manual_seed(0)
    source = lively(SOURCES[architecture].build())
    official = Official(source).state_dict()
    assert all(name.startswith("backbone.") for name in official)
    save(official, architecture, workspace)

    loaded = load(f"radimagenet_{architecture}", registry, workspace)

    assert loaded.report is not None
    assert loaded.report.matched == loaded.report.total == len(official)
    batch = torch.rand(2, 3, 96, 96) * 2 - 1
    with torch.inference_mode():
        expected = SOURCES[architecture].features(source, batch)
        torch.testing.assert_close(loaded.network(batch), expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 1e-3


def test_the_alias_is_the_default_contract(registry: Registry) -> None:
    backbone = registry.backbone("radimagenet_densenet121")

    assert backbone.name == "densenet121@radimagenet"
    assert backbone.input.mean == backbone.input.std == (0.5, 0.5, 0.5)
    assert backbone.weights is not None
    assert backbone.weights.pretrained_on == ("RadImageNet",)


def test_every_contract_is_offered_for_every_architecture(registry: Registry) -> None:
    names = {f"{architecture}@{name}" for architecture in FILES for name in CONTRACTS}

    assert names <= set(registry.backbone_names())
    weights = registry.backbone("resnet50@radimagenet_caffe").weights
    assert isinstance(weights, Weights)
    assert weights.input == CONTRACTS["radimagenet_caffe"][0]


# -- files that are not what they should be ----------------------------------------------------


@pytest.fixture(scope="module")
def official() -> State:
    return dict(Official(models.resnet50()).state_dict())


def one_missing(state: State) -> State:
    return {name: tensor for name, tensor in state.items() if name != "backbone.0.weight"}


def one_extra(state: State) -> State:
    return state | {"backbone.9.weight": torch.zeros(3)}


def one_misnamed(state: State) -> State:
    return one_missing(state) | {"backbone.00x.weight": state["backbone.0.weight"]}


def one_misshapen(state: State) -> State:
    return state | {"backbone.0.weight": torch.zeros(64, 1, 7, 7)}


def torchvisions_names(state: State) -> State:
    """An ImageNet file without its classifier: it would fit the network exactly."""
    whole = models.resnet50().state_dict()
    return {name: tensor for name, tensor in whole.items() if not name.startswith("fc.")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (one_missing, r"1 missing \(conv1\.weight\)"),
        pytest.param(*(one_extra, r"1 unexpected \(backbone\.9\.weight\)"), marks=pytest.mark.slow),
        pytest.param(
            *(one_misnamed, r"1 missing \(conv1\.weight\), 1 unexpected \(backbone\.00x"),
            marks=pytest.mark.slow,
        ),
        pytest.param(one_misshapen, r"1 misshapen \(conv1\.weight", marks=pytest.mark.slow),
        pytest.param(
            *(
                torchvisions_names,
                r"0 of 318 tensors matched, .*conv1\.weight without backbone\.N\.",
            ),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_spoilt_file_is_refused_and_the_network_left_as_it_was(
    spoil: Callable[[State], State],
    text: str,
    official: State,
    registry: Registry,
    workspace: Workspace,
) -> None:
    save(spoil(official), "resnet50", workspace)
    backbone = registry.backbone("radimagenet_resnet50")
    assert backbone.weights is not None
    network = backbone.architecture.build()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    with pytest.raises(WeightsMismatch, match=text):
        load_proven(network, backbone.weights, workspace)

    after = network.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


@pytest.mark.slow
def test_inception_saved_with_its_auxiliary_classifier_is_refused(
    registry: Registry, workspace: Workspace
) -> None:
    whole = models.inception_v3(weights=None, aux_logits=True, init_weights=False)
    save(Official(whole).state_dict(), "inception_v3", workspace)

    with pytest.raises(WeightsMismatch, match="missing"):
        load("radimagenet_inception_v3", registry, workspace)
