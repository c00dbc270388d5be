"""Explainers that refuse a network, or fail, are left out, and the maps of others are kept."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from mritk.errors import MritkError
from mritk.explain.attribution import attributed
from mritk.explain.lent_network import LentNetwork
from mritk.plugins.registry import Registry
from mritk.records import Explainer
from mritk.store.explanations import read_explanations
from tests.explain.test_explain import USUAL

pytestmark = pytest.mark.slow

FAILING = """
from mritk import Explainer, hookimpl


@hookimpl
def mritk_explainers():
    yield Explainer("no_gradient", lambda network, batch, outputs: network(batch).backward())
    yield Explainer("flat_only", lambda network, batch, outputs: batch, spatial_dims=(2,))
"""


def test_an_explainer_that_fails_is_named(explain, tmp_path):
    (tmp_path / "failing.py").write_text(FAILING)
    more = ("-p", tmp_path / "failing.py", "--cases", "4")
    ended = explain("planted2", *more, "-e", "no_gradient")
    assert "explainer no_gradient of" in ended.err
    assert "failed: " in ended.err
    ended = explain("planted3", *more, "-e", "flat_only")
    assert "explainer flat_only cannot explain this network: it is not for volumes" in ended.err
    assert ended.code == 2


def test_explainers_that_refuse_a_network_are_left_out_unless_named(explain, here, monkeypatch):
    explainer = Registry.load([str(here / "planted.py")], {}).explainer("grad_cam")
    assert explainer.is_default

    def refusing(*arguments):
        from mritk import UsageError

        raise UsageError("it cannot")

    monkeypatch.setattr("mritk_saliency.grad_cam.grad_cam", refusing)
    ended = explain("planted2", "--cases", "4")
    assert "mritk: without grad_cam: it cannot" in ended.err
    assert ended.code == 0
    ended = explain("planted2", "-e", "grad_cam")
    assert "explainer grad_cam cannot explain this network: it cannot" in ended.err
    assert ended.code == 2


REFUSING_ZEROS = """
from mritk import Explainer, UsageError, hookimpl


def wants_something(network, batch, outputs):
    if not batch.flatten(1).any(dim=1).all():
        raise UsageError("there is nothing to see")
    return batch.clone()


@hookimpl
def mritk_explainers():
    yield Explainer("wants_something", wants_something)
"""


def test_an_explainer_that_refuses_inputs_that_no_case_has_is_used(explain, tmp_path):
    (tmp_path / "refusing.py").write_text(REFUSING_ZEROS)
    ended = explain(
        "planted2", "-p", tmp_path / "refusing.py", "-e", "wants_something", "--cases", "2"
    )
    assert ended.code == 0, ended.err
    assert "wants_something" in ended.out


@pytest.mark.parametrize("calls", [0, 3], ids=["at once", "in the second batch"])
def test_an_explainer_that_fails_is_left_out_and_the_other_maps_are_stored(
    explain, here, monkeypatch, calls, tmp_path
):
    from mritk_saliency.grad_cam import grad_cam

    done = []

    def failing(*arguments):
        done.append(arguments)
        if len(done) > calls:
            raise RuntimeError("no gradient")
        return grad_cam(*arguments)

    monkeypatch.setattr("mritk_saliency.grad_cam.grad_cam", failing)
    ended = explain("planted2", "--cases", "20", "-o", tmp_path)
    assert ended.code == 0
    (line,) = [line for line in ended.err.splitlines() if "without grad_cam" in line]
    assert line.endswith("failed: no gradient")
    (path,) = tmp_path.glob("*.h5")
    found = read_explanations(path)
    assert found.explainers == USUAL[1:] and "grad_cam" not in found.scores
    assert all(len(maps) == 20 for maps in found.maps.values())
    monkeypatch.setattr("mritk_saliency.gradients.saliency", failing)
    ended = explain("planted2", "--cases", "20", "-e", "saliency", "-o", tmp_path / "none")
    assert ended.code != 0 and "no gradient" in ended.err and "Traceback" not in ended.err


CHANGING = """
from mritk import Explainer, hookimpl


def spoil(network, batch, outputs):
    for parameter in network.parameters():
        parameter.data.zero_()
    network.register_forward_hook(lambda module, given, output: output * 0)
    batch.zero_()
    return batch


def as_numpy(network, batch, outputs):
    return batch.numpy()


@hookimpl
def mritk_explainers():
    yield Explainer("a_spoiler", spoil)
    yield Explainer("as_numpy", as_numpy)
"""


def test_explainers_that_change_the_network_or_return_no_tensor_leave_other_maps_as_they_are(
    explain, tmp_path
):
    assert explain("planted2", "--cases", "4", "-o", tmp_path / "alone").code == 0
    (tmp_path / "changing.py").write_text(CHANGING)
    more = ("-p", tmp_path / "changing.py", "-o", tmp_path / "beside")
    ended = explain("planted2", "--cases", "4", *more)
    assert ended.code == 0 and "Traceback" not in ended.err
    changed, other = [line for line in ended.err.splitlines() if "mritk: without " in line]
    assert changed.startswith("mritk: without a_spoiler: explainer a_spoiler of changing.py ")
    assert "changed the network (hooks, weights), so " in changed
    assert other.startswith("mritk: without as_numpy: ")
    assert other.endswith("returned ndarray, not a tensor of real numbers")
    alone, beside = (
        read_explanations(next((tmp_path / name).glob("*.h5"))) for name in ("alone", "beside")
    )
    assert alone.explainers == beside.explainers == USUAL
    for name, values in alone.scores.items():
        np.testing.assert_array_equal(beside.scores[name], values)


def _hook(network):
    network[0].weight.register_hook(lambda gradient: gradient)


def _gradients(network):
    network(torch.ones(1, 3)).sum().backward()


def _plain_weight(network):
    weight = network[0].weight.detach()
    del network[0].weight
    network[0].weight = weight * 2


def _plain_buffer(network):
    del network[1].running_mean
    network[1].running_mean = torch.ones(2)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda network: prune.l1_unstructured(network[0], "weight", 2), "layers, hooks"),
        (_plain_weight, "layers"),
        (_plain_buffer, "layers, weights"),
        (lambda network: setattr(network[0], "forward", lambda batch: batch), "layers"),
        (lambda network: setattr(network[1], "__class__", nn.Identity), "layers"),
        (lambda network: network.train(), "training mode"),
        (lambda network: network[0].weight.data.zero_(), "weights"),
        (lambda network: network.half(), "weights"),
        (lambda network: network[1].running_mean.add_(1), "weights"),
        (lambda network: setattr(network[1], "running_mean", torch.ones(2)), "weights"),
        (lambda network: network.__setitem__(0, nn.Linear(3, 2)), "layers"),
        (lambda network: network[0].register_parameter("bias", None), "layers"),
        (lambda network: network.register_forward_hook(lambda *_: None), "hooks"),
        (_hook, "hooks"),
        (_gradients, "gradients"),
        (lambda network: network.requires_grad_(False), "gradients"),
    ],
)
@pytest.mark.parametrize("raises", [False, True])
def test_whatever_an_explainer_changes_is_told_and_undone(change, told, raises):
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).eval()
    batch = torch.ones(2, 3)
    before = copy.deepcopy(network.state_dict())
    wanted = network(batch)

    def explain(network, batch, outputs):
        change(network)
        return batch.add_(1 / int(not raises))

    with pytest.raises(MritkError, match="failed" if raises else rf"changed .* \({told}\)"):
        attributed(Explainer("it", explain), network, batch, torch.zeros(2, dtype=torch.int64))
    assert torch.equal(network(batch), wanted) and torch.equal(batch, torch.ones(2, 3))
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not network.training and not network[1].training
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    assert not network._forward_hooks and not network[0].weight._backward_hooks
    assert LentNetwork(network).restore() == []
    assert not vars(network[0]).keys() & {"weight", "forward"}
    assert "running_mean" not in vars(network[1])


class Unusual(nn.Module):
    """With a buffer that is NaN until it is measured, and what a state dict may hold beside it."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(3, 2), nn.Linear(3, 2)
        self.register_buffer("measured", torch.tensor([math.nan, 1.0]))

    def get_extra_state(self):
        return {"version": 1}

    def set_extra_state(self, state):
        pass

    def forward(self, batch):
        return self.one(batch) + self.other(batch)


def _explained(network, change):
    """Call an explainer that makes a change, if any."""

    def explain(network, batch, outputs):
        change(network)
        return batch

    return attributed(
        Explainer("it", explain), network, torch.ones(2, 3), torch.zeros(2, dtype=torch.int64)
    )


def test_a_network_with_nan_and_extra_state_comes_back_unchanged():
    assert _explained(Unusual(), lambda network: None).shape == (2,)
    with pytest.raises(MritkError, match=r"changed the network \(weights\)"):
        _explained(Unusual(), lambda network: network.measured.zero_())


def test_hooks_that_are_put_back_are_called_as_before():
    network = Unusual()
    found = []
    network.one.register_forward_hook(
        lambda module, given, named, output: found.append(named), with_kwargs=True, always_call=True
    )
    network.one.register_forward_pre_hook(lambda module, given, named: None, with_kwargs=True)
    flags = ("_hooks_with_kwargs", "_hooks_always_called", "_pre_hooks_with_kwargs")
    before = [dict(vars(network.one)[f"_forward{flag}"]) for flag in flags]

    def change(network):
        for hooks in ("_forward_hooks", *(f"_forward{flag}" for flag in flags)):
            vars(network.one)[hooks].clear()
        network.one.register_full_backward_hook(lambda *_: None).remove()

    with pytest.raises(MritkError, match=r"\(hooks\)"):
        _explained(network, change)
    assert all(before) and before == [vars(network.one)[f"_forward{flag}"] for flag in flags]
    found.clear()
    network(torch.ones(1, 3))
    assert found == [{}]
    network.one.register_backward_hook(lambda *_: None)


def test_a_network_that_is_remembered_once_comes_back_every_time():
    lent = LentNetwork(Unusual())
    before = copy.deepcopy(list(lent.network.parameters()))
    for _ in range(3):
        with pytest.raises(MritkError, match="weights"):
            _explained(lent, lambda network: network.one.weight.data.zero_())
        assert all(map(torch.equal, lent.network.parameters(), before))
    assert _explained(lent, lambda network: None).shape == (2,)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_weights_of_a_compiled_network_come_back():
    network = torch.jit.trace(nn.Sequential(nn.Conv2d(1, 2, 3)).eval(), torch.zeros(1, 1, 8, 8))
    lent, batch = LentNetwork(network), torch.ones(1, 1, 8, 8)
    before = network(batch)
    with torch.no_grad():
        next(network.parameters()).zero_()
    assert lent.beyond_a_pass(lent.restore(), batch) == ["weights"]
    assert torch.equal(network(batch), before)
