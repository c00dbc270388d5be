"""Networks that make tensors in a pass, and keep them as buffers: counts, means, memory banks."""

from __future__ import annotations

import json
import math
from functools import partial

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mritk import Architecture, Classification, InputContract
from mritk.backbone import Backbone
from mritk.errors import WeightsMismatch
from mritk.method import SelectionRule
from mritk.model.head_layout import describe_head
from mritk.model.late_buffers import load_state, make_room
from mritk.model.model_file import load_model, write_model
from mritk.model.network import Network
from mritk.train.selection import BestState

NETWORK = '''
def build_tiny():
    import torch
    from torch import nn

    class Network(nn.Module):
        """Counts its passes, and keeps the means of the first image and of its latest batches."""

        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d((3, 1)), nn.Flatten()
            )
            self.register_buffer("passes", torch.zeros(()))
            self.register_buffer("mean", None)
            self.register_buffer("bank", torch.zeros(0))
            self.register_buffer("scale", torch.full((1, 1), 2.0).expand(3, 64))

        def forward(self, batch):
            if self.training:
                self.bank = torch.cat((self.bank, batch.detach().mean().reshape(1)))[-100:]
            self.passes = self.passes + 1
            if self.mean is None:
                self.mean = batch[:1].detach().mean()
            return self.body((batch - self.mean) * self.scale[0, 0])

    return Network()


@hookimpl
def mritk_epoch_end(epoch):
    from pathlib import Path

    once = Path(__file__).with_name("stop")
    if epoch.epoch == 2 and once.exists():
        once.unlink()
        raise KeyboardInterrupt
'''


@pytest.fixture
def keeping(toy):
    """The toy plugin, whose network keeps tensors of its passes."""
    toy.write_text(toy.read_text() + NETWORK)
    return toy


@pytest.mark.slow
@pytest.mark.usefixtures("keeping")
def test_it_trains_stops_resumes_and_its_model_is_exported(mritk, run_toy, tmp_path, keeping):
    (tmp_path / "stop").touch()
    assert run_toy("--seeds", 1, "--keep-models").code == 130
    assert list((tmp_path / "results/checkpoints").iterdir())
    ended = run_toy("--seeds", 1, "--keep-models")
    assert ended.code == 0, ended.err
    trial = next((tmp_path / "results/trials").iterdir()).stem
    file = tmp_path / "tiny.safetensors"
    told = mritk("export", trial, "--results", tmp_path / "results", "-p", keeping, "-o", file)
    assert told.code == 0, told.err
    assert len(load_file(file)["backbone.bank"]) > 1


class Late(nn.Module):
    """Has one buffer that is not there yet."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.register_buffer("mean", None)


def test_a_buffer_that_is_not_there_yet_is_loaded():
    network = nn.Sequential(Late(), Late())
    state = nn.Sequential(Late(), Late()).state_dict() | {"1.mean": torch.tensor([3.0, 4.0])}
    make_room(network, state)
    network.load_state_dict(state)
    assert network[1].mean.tolist() == [3.0, 4.0]
    assert network[0].mean is None


def test_a_name_that_the_network_does_not_register_is_still_refused():
    network = Late()
    state = network.state_dict() | {"variance": torch.zeros(2)}
    make_room(network, state)
    with pytest.raises(RuntimeError, match="variance"):
        network.load_state_dict(state)


class Bank(nn.Module):
    """Keeps a row of each pass in training."""

    def __init__(self, width=2):
        super().__init__()
        self.layer = nn.Linear(2, width)
        self.register_buffer("rows", torch.zeros(0, width))
        self.register_buffer("constant", torch.ones(1).expand(width))

    def forward(self, batch):
        outputs = self.layer(batch)
        if self.training:
            self.rows = torch.cat((self.rows, outputs[:1].detach()))
        return outputs + self.rows.sum()


def grown(passes):
    network = Bank()
    for _ in range(passes):
        network(torch.rand(3, 2))
    return network.eval()


STATISTICS = ("running_mean", "running_var")


def load_file_state(network, state):
    make_room(network, state)
    network.load_state_dict(state)


@pytest.mark.parametrize("passes", [0, 1, 5])
def test_a_buffer_takes_the_shape_that_it_had(passes):
    batch, stored, network = torch.rand(3, 2), grown(3), grown(passes)
    load_state(network, stored.state_dict())
    assert torch.equal(network(batch), stored(batch))


@pytest.mark.parametrize("load", [load_state, load_file_state])
def test_an_empty_buffer_takes_the_dtype_that_was_stored(load):
    network, seen = Bank(), torch.tensor([[1 / 3, 2 / 3]], dtype=torch.float64)
    load(network, network.state_dict() | {"rows": seen})
    assert torch.equal(network.rows, seen)
    assert network.rows.dtype == torch.float64


def test_a_buffer_takes_the_dtype_that_it_had_in_the_same_network():
    network, state = nn.BatchNorm1d(2), nn.BatchNorm1d(2).double().state_dict()
    load_state(network, state)
    assert network.running_mean.dtype == torch.float64


def test_a_file_changes_no_shape_and_no_dtype_of_a_buffer_with_values():
    network = nn.BatchNorm1d(2)
    load_file_state(network, nn.BatchNorm1d(2).half().state_dict())
    assert network.running_var.dtype == torch.float32
    with pytest.raises(RuntimeError, match=r"running_mean.*\n.*running_var"):
        load_file_state(network, network.state_dict() | {n: torch.ones(3) for n in STATISTICS})


def test_a_buffer_that_fits_stays_the_same_tensor():
    network, state = grown(2), grown(2).state_dict()
    rows = network.rows
    make_room(network, state)
    assert network.rows is rows


def test_a_parameter_of_another_shape_is_still_refused():
    network, state = Bank(), Bank(width=3).state_dict()
    make_room(network, state)
    with pytest.raises(RuntimeError, match=r"layer\.weight"):
        network.load_state_dict(state)


def test_the_best_epoch_comes_back_after_later_ones_have_added_rows():
    best = BestState(SelectionRule(on="val", by="loss"), Classification(("a", "b")))
    network = grown(2)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    best.offer(1, 0.5, network)
    network.train()(torch.rand(3, 2))
    best.offer(2, math.inf, network)
    best.restore(network)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


class Centred(Late):
    """Takes its mean from the first batch of training."""

    def forward(self, batch):
        if self.training and self.mean is None:
            self.mean = batch.mean(0)
        return self.layer(batch if self.mean is None else batch - self.mean)


def test_the_best_epoch_may_lie_before_a_buffer_was_made():
    best = BestState(SelectionRule(on="val", by="loss"), Classification(("a", "b")))
    network, batch = Centred().eval(), torch.rand(3, 2)
    expected = network(batch)
    best.offer(1, 0.5, network)
    network.train()(batch)
    best.offer(2, 0.7, network)
    best.restore(network.eval())
    assert network.mean is None
    assert torch.equal(network(batch), expected)


@pytest.fixture
def kept_model(tmp_path):
    """Write the network of three passes, and load it for an architecture that may have changed."""
    path, contract = tmp_path / "bank.safetensors", InputContract(8)
    network = Network(grown(3), nn.Sequential(nn.Linear(2, 2)))
    facts = {
        "head": describe_head(network.head),
        "input_contract": contract.as_dict(),
        "input_shape": (3, 8, 8),
        "classes": ("a", "b"),
        "output_scaling": (0, 1),
    }
    metadata = {name: json.dumps(value) for name, value in facts.items()}
    write_model(network, {"format": "mritk", "architecture": "bank", **metadata}, path)

    def load(build):
        architecture = Architecture("bank", build, contract, summary="keeps rows")
        return load_model(path, lambda _: Backbone(architecture)).network

    return network.eval(), load


def test_a_model_is_loaded_with_what_its_buffers_have_grown_to(kept_model):
    network, load = kept_model
    batch = torch.rand(3, 2)
    assert torch.equal(load(Bank)(batch), network(batch))


def test_a_model_of_a_changed_plugin_is_still_refused(kept_model):
    _, load = kept_model
    with pytest.raises(WeightsMismatch, match=r"3 misshapen .*the plugin has changed"):
        load(partial(Bank, width=3))


class WithMean(Bank):
    """A later release has one more constant."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(2))


class OtherConstant(Bank):
    """In a later release, the constant has another shape."""

    def __init__(self):
        super().__init__()
        self.constant = torch.ones(3, 1)


@pytest.mark.parametrize(
    ("release", "told"), [(WithMean, "1 missing .*mean"), (OtherConstant, "1 misshapen .*constant")]
)
def test_a_model_of_other_constants_is_refused(kept_model, release, told):
    _, load = kept_model
    with pytest.raises(WeightsMismatch, match=told):
        load(release)
