"""Operations are counted as the closed forms say, and counting leaves everything as it was."""

from __future__ import annotations

from functools import partial

import pytest
import timm
import torch
import torchvision
from torch import nn

from mritk.model.flops import count_flops
from mritk.model.latency import measure_latency
from mritk.model.without_values import follow
from mritk.train.cost import model_cost, network_cost


def convolution(width_in, width, kernel, side):
    """2 operations for each multiplication with a kernel's value, at each output pixel."""
    return 2 * width_in * width * kernel**2 * side**2


def test_a_convolution_and_a_linear_layer_by_their_closed_form():
    network = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)),
    )
    assert count_flops(network, (3, 32, 32)) == convolution(3, 8, 3, 16) + 2 * 8 * 4


def test_a_depthwise_convolution_has_one_kernel_per_channel():
    network = nn.Conv2d(16, 16, 5, padding=2, groups=16)
    assert count_flops(network, (16, 10, 10)) == convolution(1, 16, 5, 10)


def test_volumes():
    assert count_flops(nn.Conv3d(1, 4, 3, padding=1), (1, 8, 8, 8)) == 2 * 4 * 27 * 8**3


def transformer_flops(tokens, width, hidden, depth, patch, classes=0):
    per_block = 2 * tokens * width * (3 * width + width + 2 * hidden) + 4 * tokens**2 * width
    embedding = 2 * (tokens - 1) * 3 * patch**2 * width
    return depth * per_block + embedding + 2 * width * classes


def test_a_vision_transformer_of_timm_by_its_closed_form():
    network = timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=2)
    expected = transformer_flops(197, 192, 768, 2, 16)
    assert count_flops(network, (3, 224, 224)) == expected


def test_the_fused_attention_of_torch_is_counted_too():
    network = torchvision.models.VisionTransformer(
        image_size=64, patch_size=16, num_layers=2, num_heads=4, hidden_dim=32, mlp_dim=64
    )
    expected = transformer_flops(17, 32, 64, 2, 16, 1000)
    before = torch.backends.mha.get_fastpath_enabled()
    assert count_flops(network, (3, 64, 64)) == expected
    assert torch.backends.mha.get_fastpath_enabled() == before


@pytest.mark.slow
def test_resnet18_is_the_published_number():
    """1.81 G multiply-adds (He et al. 2016 give 1.8 · 10⁹), each of two operations."""
    flops = count_flops(torchvision.models.resnet18(), (3, 224, 224))
    assert round(flops / 2e9, 2) == 1.81


@pytest.mark.parametrize("measure", [count_flops, measure_latency])
def test_the_network_its_modes_and_the_random_state_stay_as_they_were(measure):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    network[1].eval()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    assert measure(network, (3, 8, 8)) > 0
    assert torch.equal(torch.rand(3), expected)
    assert [m.training for m in network] == [True, False, True]
    assert all(torch.equal(t, state[n]) for n, t in network.state_dict().items())
    network(torch.rand(2, 3, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


class Refusing(nn.Module):
    def forward(self, batch):
        raise RuntimeError("no")


def test_what_cannot_be_counted_is_absent_and_harms_nothing():
    assert count_flops(Refusing(), (3, 8, 8)) is None
    assert count_flops(nn.ReLU(), (3, 8, 8)) is None, "0 would read as a free network"
    assert network_cost(Refusing(), (3, 8, 8)) == {"parameters": 0.0}


class Fitted:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


def test_a_model_without_a_network_tells_nothing():
    assert model_cost(Fitted()) == {}


def test_a_foreign_method_need_only_offer_network_and_input_shape():
    fitted = Fitted(network=nn.Linear(5, 2), input_shape=(5,))
    cost = model_cost(fitted)
    assert cost.pop("latency_seconds") > 0
    assert cost == {"parameters": 12.0, "flops": 20.0}


def test_what_a_method_tells_itself_comes_first_and_nonsense_is_left_out():
    assert model_cost(Fitted(model_cost={"parameters": 3, "flops": float("nan")})) == {
        "parameters": 3.0
    }
    assert model_cost(Fitted(model_cost="many")) == {}


@pytest.mark.slow
def test_on_a_gpu_operations_are_counted_without_a_kernel_for_one_image(monkeypatch):
    """Each shape that is computed costs there; the count is the same."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(72, 4))
    attention = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    expected = [count_flops(network, (3, 5, 5)), count_flops(attention, (6, 16))]
    monkeypatch.setattr("mritk.model.flops.follow", partial(follow_as_on_a_gpu, follow))
    seen = []
    network[0].register_forward_hook(lambda layer, given, out: seen.append(type(out).__name__))
    assert [count_flops(network, (3, 5, 5)), count_flops(attention, (6, 16))] == expected
    assert seen == ["FakeTensor"]


def follow_as_on_a_gpu(real, network, call, work, *, compute):
    return real(network, call, work, compute=False)
