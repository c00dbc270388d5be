"""Build a backbone: seeded, proven, with features of one row per image."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mritk import Architecture, InputContract, MritkError, Weights
from mritk.backbone import Backbone
from mritk.model.backbone import load_backbone
from mritk.testing.backbone import inspect_backbone, is_built_anew
from mritk.testing.check import Defect
from mritk.testing.network_under_test import BackboneUnderTest
from tests.training_fixtures import KeepsGrid


def build():
    return nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1)),
        *(nn.Flatten(), nn.Linear(4, 7)),
    )


def backbone(make=build, **fields):
    return Backbone(Architecture("net", make, InputContract(16), **fields))


def states(workspace, *seeds):
    return [load_backbone(backbone(), workspace, seed).network.state_dict() for seed in seeds]


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_one_seed_gives_one_initialisation_whatever_was_drawn_before(workspace):
    torch.manual_seed(1)
    (first,) = states(workspace, 5)
    torch.rand(1000)
    (second,) = states(workspace, 5)
    assert same(first, second)


def test_other_seeds_give_other_initialisations(workspace):
    assert not same(*states(workspace, 5, 6))


def test_the_global_generator_is_left_alone(workspace):
    before = torch.get_rng_state()
    states(workspace, 5)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.gpu
def test_the_generator_of_a_gpu_is_left_alone_too(workspace):
    before = torch.cuda.get_rng_state()
    states(workspace, 5)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_the_width_of_the_features_is_measured(workspace):
    assert load_backbone(backbone(), workspace, 0).num_features == 7


def test_the_width_is_measured_at_the_size_that_will_be_used(workspace):
    flat = backbone(nn.Flatten)
    assert load_backbone(flat, workspace, 0).num_features == 3 * 16 * 16
    assert load_backbone(flat, workspace, 0, size=8).num_features == 3 * 8 * 8


def test_measuring_leaves_batch_norm_statistics_alone(workspace):
    (state,) = states(workspace, 0)
    assert int(state["1.num_batches_tracked"]) == 0
    assert torch.equal(state["1.running_mean"], torch.zeros(4))


def test_volumes_are_measured_with_volumes(workspace):
    net = nn.Sequential(nn.Conv3d(1, 2, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    contract = InputContract(8, (0.0,), (1.0,))
    volume = Backbone(Architecture("net", lambda: net, contract, spatial_dims=3))
    assert load_backbone(volume, workspace, 0).num_features == 2


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda: nn.Conv2d(3, 4, 3), r"\(1, 4, 14, 14\)"),
        (lambda: nn.Flatten(0), r"\(768,\)"),
        (lambda: nn.AdaptiveMaxPool2d(1, return_indices=True), "tuple"),
    ],
    ids=["maps", "flat", "tuple"],
)
def test_features_that_are_not_one_row_per_image_are_refused(workspace, make, got):
    with pytest.raises(MritkError, match=got):
        load_backbone(backbone(make), workspace, 0)


def test_a_network_that_cannot_take_its_input_is_refused_with_the_reason(workspace):
    with pytest.raises(MritkError, match=r"does not accept inputs of size 16 .*mat1"):
        load_backbone(backbone(lambda: nn.Linear(5, 5)), workspace, 0)


def test_the_refusal_says_what_to_do(workspace):
    with pytest.raises(MritkError, match="global pooling and Flatten"):
        load_backbone(backbone(lambda: nn.Conv2d(3, 4, 3)), workspace, 0)


def test_the_network_comes_in_evaluation_mode(workspace):
    assert not load_backbone(backbone(), workspace, 0).network.training


def test_weights_replace_the_random_initialisation_and_leave_a_proof(workspace, tmp_path):
    torch.manual_seed(7)
    source = build()
    torch.save(source.state_dict(), tmp_path / "w.pt")
    weights = Weights("net", "w", locate=lambda workspace: tmp_path / "w.pt")
    loaded = load_backbone(Backbone(backbone().architecture, weights), workspace, 0)
    assert same(loaded.network.state_dict(), source.state_dict())
    assert loaded.report.matched == loaded.report.total == len(source.state_dict())


def test_random_weights_have_no_proof(workspace):
    assert load_backbone(backbone(), workspace, 0).report is None


def test_the_stages_hold_every_tensor(workspace):
    loaded = load_backbone(backbone(), workspace, 0)
    held = sorted(tensor for stage in loaded.stages for tensor in stage.tensors)
    assert held == sorted(loaded.network.state_dict())


def test_a_network_that_keeps_a_grid_from_its_first_batch_can_still_be_trained(workspace):
    """Position grids are often computed once; measuring the width must not spoil them."""

    network = load_backbone(backbone(KeepsGrid), workspace, 0).network.train()
    network(torch.rand(2, 3, 16, 16)).sum().backward()
    assert network.conv.weight.grad is not None


@pytest.mark.parametrize("how", ["whole", "layer", "memory", "statistics"])
def test_what_an_earlier_network_learned_is_no_start_for_another(workspace, how):
    layer, norm = nn.Linear(3 * 16 * 16, 4), nn.BatchNorm1d(4, affine=False)
    values, whole = torch.randn(4, 3 * 16 * 16), build()

    def made():
        own = nn.Linear(3 * 16 * 16, 4)
        if how == "memory":
            own.weight = nn.Parameter(values)
        shared = {"whole": whole, "layer": nn.Sequential(nn.Flatten(), layer)}
        return shared.get(how) or nn.Sequential(
            *(nn.Flatten(), own), *([norm] if how == "statistics" else [])
        )

    first = load_backbone(backbone(made), workspace, 0).network
    first.to(memory_format=torch.channels_last)
    del first
    with pytest.raises(MritkError, match=r"net of .*: build\(\) returned .* of an earlier network"):
        load_backbone(backbone(made), workspace, 1)


def test_two_networks_that_live_share_no_array_of_numpy(workspace):
    array = np.ones((7, 4), np.float32)

    def made():
        network = build()
        network[4].weight = nn.Parameter(torch.from_numpy(array))
        return network

    first = load_backbone(backbone(made), workspace, 0).network
    with pytest.raises(MritkError, match=r"build\(\) returned 4\.weight of an earlier network"):
        load_backbone(backbone(made), workspace, 1)
    with pytest.raises(Defect, match=r"return the same 4\.weight"):
        is_built_anew(SimpleNamespace(network=first, second=made()))
    is_built_anew(SimpleNamespace(network=first, second=build()))
    first[4].weight.share_memory_()  # which moves it away from the array
    load_backbone(backbone(made), workspace, 2)


def test_networks_may_share_constants_and_tie_their_own_weights(workspace):
    grid = torch.arange(4.0)

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = nn.Linear(3 * 16 * 16, 4), nn.Linear(3 * 16 * 16, 4)
            self.other.weight = self.one.weight
            self.register_buffer("grid", grid, persistent=False)

        def forward(self, batch):
            return self.one(batch.flatten(1)) + self.other(batch.flatten(1)) + self.grid

    for seed in range(3):
        assert load_backbone(backbone(Tied), workspace, seed).num_features == 4


@pytest.mark.parametrize("persistent", [True, False])
def test_a_network_that_writes_into_its_buffers_leaves_constants_alone(workspace, persistent):
    mean = torch.full((3, 1, 1), 0.5)

    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", mean, persistent=persistent)
            self.register_buffer("same", self.mean)
            self.register_buffer("nothing", None)
            self.register_buffer("scale", nn.Parameter(torch.ones(3, 1, 1)) * 2)
            self.norm = nn.LazyBatchNorm2d()

        def forward(self, batch):
            if self.training:
                self.mean += 1
            return (self.scale * (batch - self.same)).mean((2, 3))

    made, batch = backbone(Counts), torch.ones(1, 3, 16, 16)
    one, other = (load_backbone(made, workspace, 0).network for _ in range(2))
    assert torch.equal(one.train()(batch), torch.full((1, 3), -1.0))
    for network in (other, load_backbone(made, workspace, 1).network):
        assert torch.equal(network(batch), torch.ones(1, 3))
    is_built_anew(BackboneUnderTest(made, workspace))


class CountsItsPasses(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def forward(self, batch):
        self.passes += 1
        return self.layer(batch.mean((2, 3)))


def test_a_network_that_counts_its_passes_breaks_no_promise(workspace):
    verdicts = inspect_backbone(backbone(CountsItsPasses, summary="a count"), workspace)
    assert [one for one in verdicts if one.state == "failed"] == []


def test_a_buffer_that_a_network_holds_elsewhere_too_gets_the_weights(workspace, tmp_path):
    class Holds(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.zeros(3, 1, 1))
            self.held = [self.mean]

        def forward(self, batch):
            return (batch - self.held[0]).mean((2, 3))

    torch.save({"mean": torch.full((3, 1, 1), 5.0)}, tmp_path / "w.pt")
    weights = Weights("net", "w", locate=lambda workspace: tmp_path / "w.pt")
    for seed in range(2):
        network = load_backbone(Backbone(backbone(Holds).architecture, weights), workspace, seed)
        found = network.network(torch.ones(1, 3, 16, 16))
        assert torch.equal(found, torch.full((1, 3), -4.0))


def test_a_constant_that_an_earlier_network_loaded_weights_into_is_as_it_was(workspace, tmp_path):
    mean = torch.zeros(3, 1, 1)

    class Shares(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", mean[:])  # another tensor of the same memory

        def forward(self, batch):
            return (batch - self.mean).mean((2, 3))

    made = backbone(Shares)
    torch.save({"mean": torch.full((3, 1, 1), 5.0)}, tmp_path / "w.pt")
    weights = Weights("net", "w", locate=lambda workspace: tmp_path / "w.pt")
    batch = torch.ones(1, 3, 16, 16)
    for one, value in ((Backbone(made.architecture, weights), -4), (made, 1), (made, 1)):
        found = load_backbone(one, workspace, 0).network(batch)
        assert torch.equal(found, torch.full((1, 3), float(value)))


def test_a_constant_that_a_network_holds_elsewhere_too_is_refused_to_another(workspace):
    mean = torch.zeros(3, 1, 1)

    class HoldsConstant(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", mean)
            self.held = {"mean": mean}

        def forward(self, batch):
            return (batch - self.held["mean"]).mean((2, 3))

    made = backbone(HoldsConstant)
    load_backbone(made, workspace, 0)
    with pytest.raises(MritkError, match="returned held, a buffer of an earlier network, too"):
        load_backbone(made, workspace, 1)
