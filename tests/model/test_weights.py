"""Weights are proven: every tensor accounted for, or an error and an untouched network."""

from __future__ import annotations

import hashlib
from argparse import Namespace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mritk import Architecture, InputContract, Unavailable, Weights
from mritk.backbone import Backbone, split_name, weights_from_file
from mritk.errors import WeightsMismatch
from mritk.model.weights import MatchReport, load_proven, read_state_dict


def network():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 3))


def state():
    """Tensors of another network of the same shape."""
    torch.manual_seed(99)
    source = network()
    with torch.no_grad():
        source[1].running_mean.fill_(3)
        source[1].num_batches_tracked.fill_(41)
    return dict(source.state_dict())


def weights_in(path, **fields):
    return Weights("net", "w", locate=lambda workspace: path, **fields)


@pytest.fixture
def saved(tmp_path):
    def save(content, name="w.pt"):
        path = tmp_path / name
        if path.suffix == ".safetensors":
            save_file(content, path)
        else:
            torch.save(content, path)
        return path

    return save


@pytest.fixture
def refused(workspace):
    """Load, expect a refusal and an untouched network; return the message."""

    def load(path, **fields):
        target = network()
        before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
        with pytest.raises(WeightsMismatch) as caught:
            load_proven(target, weights_in(path, **fields), workspace)
        for name, tensor in target.state_dict().items():
            assert torch.equal(tensor, before[name]), f"{name} was changed by a refused file"
        return str(caught.value)

    return load


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.safetensors"])
def test_a_file_that_fits_fills_every_tensor_and_buffer(saved, workspace, name):
    target = network()
    report = load_proven(target, weights_in(saved(state(), name)), workspace)
    for key, tensor in state().items():
        assert torch.equal(target.state_dict()[key], tensor)
    assert (report.matched, report.total) == (9, 9)
    assert report.parameters == sum(tensor.numel() for tensor in state().values())
    assert report.complete
    assert report.file == name


def test_the_report_keeps_the_digest_of_the_file(saved, workspace):
    path = saved(state())
    report = load_proven(network(), weights_in(path), workspace)
    assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert report.as_dict()["sha256"] == report.sha256


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_a_checkpoint_of_a_training_script_is_unwrapped(saved, workspace, key):
    target = network()
    path = saved({key: state(), "epoch": 7, "optimizer": {"lr": 0.1}})
    load_proven(target, weights_in(path), workspace)
    assert torch.equal(target[0].weight, state()["0.weight"])


def test_names_are_translated_before_they_are_compared(saved, workspace):
    path = saved({f"module.{name}": tensor for name, tensor in state().items()})
    rename = lambda found: {n.removeprefix("module."): t for n, t in found.items()}  # noqa: E731
    target = network()
    load_proven(target, weights_in(path, rename=rename), workspace)
    assert torch.equal(target[2].bias, state()["2.bias"])


def test_half_precision_files_fill_a_float_network(saved, workspace):
    halves = {n: t.half() if t.is_floating_point() else t for n, t in state().items()}
    target = network()
    load_proven(target, weights_in(saved(halves)), workspace)
    assert target[0].weight.dtype == torch.float32
    torch.testing.assert_close(target[0].weight, state()["0.weight"], atol=1e-3, rtol=1e-3)


# -- refusals ----------------------------------------------------------------------------------


def without(*names):
    return {name: tensor for name, tensor in state().items() if name not in names}


def test_one_missing_tensor_is_refused(saved, refused):
    message = refused(saved(without("2.bias")))
    assert "1 missing (2.bias)" in message
    assert "8 of 9 tensors matched" in message
    assert "nothing was loaded" in message


def test_a_missing_running_statistic_is_refused(saved, refused):
    assert "1.running_var" in refused(saved(without("1.running_var")))


def test_one_unexpected_tensor_is_refused(saved, refused):
    assert "1 unexpected (fc.weight)" in refused(saved(state() | {"fc.weight": torch.zeros(2)}))


def test_another_shape_is_refused_with_both_shapes(saved, refused):
    message = refused(saved(state() | {"2.bias": torch.zeros(5)}))
    assert "1 misshapen (2.bias (5,) for (3,))" in message


def test_a_shape_that_would_broadcast_is_refused(saved, refused):
    assert "misshapen" in refused(saved(state() | {"2.bias": torch.zeros(1)}))


def test_names_of_another_library_match_nothing_and_are_refused(saved, refused):
    message = refused(saved({f"backbone.{name}": tensor for name, tensor in state().items()}))
    assert "0 of 9 tensors matched" in message
    assert "…" in message, "long lists of names are cut"


def test_whole_numbers_in_place_of_floats_are_refused(saved, refused):
    """A quantised file has the right names and shapes, and quite other values."""
    quantised = state()["0.weight"].mul(127).to(torch.int8)
    refused(saved(state() | {"0.weight": quantised}))


def test_tensors_that_may_miss_keep_the_networks_own_values(saved, workspace):
    target = network()
    own = target[2].bias.clone()
    report = load_proven(
        target, weights_in(saved(without("2.bias")), may_miss=("*.bias",)), workspace
    )
    assert torch.equal(target[2].bias, own)
    assert report.exempt == ("2.bias",)
    assert report.matched == 8


def test_the_permission_to_miss_one_tensor_is_none_for_others(saved, refused):
    path = saved(without("2.bias", "2.weight"))
    assert "1 missing (2.weight)" in refused(path, may_miss=("2.bias",))


def test_the_counter_of_batch_norm_may_always_miss(saved, workspace):
    report = load_proven(network(), weights_in(saved(without("1.num_batches_tracked"))), workspace)
    assert report.exempt == ("1.num_batches_tracked",)


def test_another_digest_is_refused_before_the_file_is_read(saved, refused, monkeypatch):
    path = saved(state())
    monkeypatch.setattr("mritk.model.weights.read_state_dict", lambda path: pytest.fail("was read"))
    message = refused(path, sha256="0" * 64)
    assert "expected 0000000000000000…" in message
    assert "download it again" in message


@pytest.mark.parametrize("digits", [8, 64])
def test_the_right_digest_or_a_prefix_of_it_is_accepted(saved, workspace, digits):
    path = saved(state())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:digits]
    load_proven(network(), weights_in(path, sha256=digest), workspace)


def test_the_digest_may_be_written_in_upper_case(saved, workspace):
    path = saved(state())
    digest = hashlib.sha256(path.read_bytes()).hexdigest().upper()
    load_proven(network(), weights_in(path, sha256=digest), workspace)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x80\x02garbage"])
def test_a_file_that_is_no_weight_file_is_refused(tmp_path, refused, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert "cannot be read as weights" in refused(path)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_a_truncated_file_is_refused(saved, refused, name):
    path = saved(state(), name)
    path.write_bytes(path.read_bytes()[:-200])
    assert "cannot be read as weights" in refused(path)


class Exploding:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code in the weight file was run')",))


@pytest.mark.parametrize("content", [Exploding(), {"state_dict": Exploding()}, Namespace(lr=1)])
def test_a_pickle_that_would_run_code_is_refused_and_not_run(saved, refused, content):
    message = refused(saved(content))
    assert "cannot be read as weights" in message
    assert "save torch.save(network.state_dict(), FILE)" in message
    assert "weights_only" not in message


@pytest.mark.parametrize(
    "content", [{}, torch.zeros(3), [torch.zeros(3)], {"a": 1}, {"model": {"a": "b"}}, {"model": 3}]
)
def test_a_file_without_a_state_dict_is_refused(saved, refused, content):
    assert "contains no state dict" in refused(saved(content))


def test_names_that_are_not_text_are_refused_like_other_strange_files(saved, refused):
    refused(saved({1: torch.zeros(3)}))


def test_a_file_that_is_not_there_is_unavailable(tmp_path, workspace):
    with pytest.raises(Unavailable, match=r"no weight file"):
        load_proven(network(), weights_in(tmp_path / "none.pt"), workspace)


def test_reading_gives_tensors_on_the_cpu(saved):
    assert {tensor.device.type for tensor in read_state_dict(saved(state())).values()} == {"cpu"}


def test_a_report_says_what_does_not_fit():
    report = MatchReport("f", "0", 1, 2, 5, missing=("a", "b", "c", "d"), misshapen=("e",))
    assert not report.complete
    assert str(report) == "1 of 2 tensors matched, 4 missing (a, b, c, …), 1 misshapen (e)"


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("tensor", ["0.weight", "1.running_var"])
def test_a_value_that_is_no_number_is_refused_with_the_name_of_its_tensor(
    saved, refused, tensor, value, name
):
    broken = state()
    broken[tensor].view(-1)[-1] = value
    message = refused(saved(broken, name))
    assert f"{name} holds NaN or infinite values in 1 of 9 tensors ({tensor})" in message


def test_values_too_large_for_the_network_are_refused(saved, refused):
    large = {n: t.double() * 1e300 if n[0] == "2" else t for n, t in state().items()}
    assert "infinite values in 2 of 9 tensors (2.weight, 2.bias)" in refused(saved(large))


def test_a_mask_that_is_infinite_by_design_is_loaded(saved, workspace):
    def masked():
        built = network()
        built.register_buffer("mask", torch.tensor([0.0, -float("inf")]))
        return built

    target = masked()
    load_proven(target, weights_in(saved(dict(masked().state_dict()))), workspace)
    assert target.mask.tolist() == [0.0, -float("inf")]


# -- names of backbones ------------------------------------------------------------------------

ARCHITECTURE = Architecture("net", network, InputContract(64))


def test_a_backbone_is_called_architecture_at_weights(tmp_path):
    assert Backbone(ARCHITECTURE).name == "net@scratch"
    assert Backbone(ARCHITECTURE, weights_in(tmp_path)).name == "net@w"


def test_weights_bring_their_input_contract_or_take_the_architectures(tmp_path):
    contract = InputContract(96)
    assert Backbone(ARCHITECTURE).input.size == 64
    assert Backbone(ARCHITECTURE, weights_in(tmp_path)).input.size == 64
    assert Backbone(ARCHITECTURE, weights_in(tmp_path, input=contract)).input is contract


def test_weights_from_a_file_are_known_by_their_content_wherever_they_lie(saved, tmp_path):
    path = saved(state())
    moved = tmp_path / "elsewhere" / "other.pt"
    moved.parent.mkdir()
    moved.write_bytes(path.read_bytes())
    one, other = (Backbone(ARCHITECTURE, weights_from_file(ARCHITECTURE, p)) for p in (path, moved))
    assert one.name.startswith("net@file:w.pt#"), "no path in tables"
    assert one.identity == other.identity
    assert one.identity["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_weight_file_that_changes_after_it_was_named_is_refused(saved, workspace):
    path = saved(state())
    weights = weights_from_file(ARCHITECTURE, path)
    torch.save(state() | {"2.bias": torch.zeros(3)}, path)
    with pytest.raises(WeightsMismatch, match="SHA-256"):
        load_proven(network(), weights, workspace)


def test_a_weight_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Unavailable, match=r"none\.pt for net"):
        weights_from_file(ARCHITECTURE, tmp_path / "none.pt")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("net", ("net", None)),
        ("net@imagenet", ("net", "imagenet")),
        ("net@", ("net", "")),
        ("net@file:a@b.pt", ("net", "file:a@b.pt")),
    ],
)
def test_names_are_split_at_the_first_at_sign(text, parts):
    assert split_name(text) == parts
