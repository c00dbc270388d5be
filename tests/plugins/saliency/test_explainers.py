"""What each explainer is for: planted blobs, ReLUs however they are called, networks it refuses."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from mritk import Explainer, UsageError
from mritk.plugins.registry import Registry
from mritk.testing import check_explainer
from mritk_saliency.grad_cam import grad_cam
from mritk_saliency.guided import guided_backpropagation
from mritk_saliency.perturbation import blur, meaningful_perturbation
from tests.plugins.saliency.conftest import convolutional, inputs

OUTPUTS = torch.tensor([2, 0])
NAMES = ("saliency", "integrated_gradients", "guided_backpropagation", "grad_cam")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_keeps_the_promises_of_an_explainer(name):
    explainer = Registry.load(environ={}).explainer(name)
    check_explainer(explainer)
    assert explainer.is_default


@pytest.mark.slow
def test_so_does_the_slow_one_which_is_used_only_if_named():
    explainer = Registry.load(environ={}).explainer("meaningful_perturbation")
    assert not explainer.is_default
    check_explainer(Explainer("few_steps", partial(meaningful_perturbation, steps=12)))


class Functional(nn.Module):
    """The layers of ``convolutional``, with ReLUs that are no modules."""

    def __init__(self, layers, relu):
        super().__init__()
        self.layers, self.relu = layers, relu

    def forward(self, batch):
        first, _, second, _, *rest = self.layers
        return nn.Sequential(*rest)(self.relu(second(self.relu(first(batch)))))


@pytest.mark.parametrize(
    "relu",
    [torch.relu, torch.relu_, functional.relu, torch.Tensor.relu_, nn.ReLU(inplace=True)],
    ids=["torch", "in place", "functional", "method", "module in place"],
)
def test_guided_backpropagation_finds_relus_however_they_are_called(relu, dims):
    layers, batch = convolutional(dims), inputs(dims)
    wanted = guided_backpropagation(layers, batch, OUTPUTS)
    found = guided_backpropagation(Functional(layers, relu), batch, OUTPUTS)
    torch.testing.assert_close(found, wanted)


def test_guided_backpropagation_passes_no_negative_gradient():
    """Two paths of weight +1 and -1 cancel in the gradient; the guided one keeps the positive."""
    first, second = nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 1)
    with torch.no_grad():
        first.weight.fill_(1.0)
        first.bias.fill_(1.0)
        second.weight.copy_(torch.tensor([[1.0, -1.0], [0.0, 0.0]])[..., None, None])
    network = nn.Sequential(first, nn.ReLU(), second, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    found = guided_backpropagation(network, torch.ones(1, 1, 2, 2), torch.tensor([0]))
    assert (found == 1 / 4).all()


def test_relu6_is_a_relu():
    layers, batch = convolutional(2), inputs(2)
    wanted = guided_backpropagation(layers, batch, OUTPUTS)  # no activation reaches 6
    found = guided_backpropagation(Functional(layers, nn.ReLU6()), batch, OUTPUTS)
    torch.testing.assert_close(found, wanted)


def test_grad_cam_is_the_same_where_the_last_relu_is_in_place_or_a_function(dims):
    batch = inputs(dims)
    wanted = grad_cam(convolutional(dims), batch, OUTPUTS)
    assert wanted.any()
    torch.testing.assert_close(grad_cam(convolutional(dims, in_place=True), batch, OUTPUTS), wanted)
    densenet = Functional(convolutional(dims), partial(functional.relu, inplace=True))
    torch.testing.assert_close(grad_cam(densenet, batch, OUTPUTS), wanted)


class Tokens(nn.Module):
    """A patch embedding and what a transformer does with its tokens."""

    def __init__(self):
        super().__init__()
        self.patches, self.mix, self.head = nn.Conv2d(1, 8, 4, 4), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, batch):
        tokens = self.patches(batch).flatten(2).transpose(1, 2)
        return self.head(self.mix(tokens).tanh().mean(dim=1))


class Aside(nn.Module):
    """Feature maps that its outputs do not depend on."""

    def __init__(self):
        super().__init__()
        self.head, self.aside = nn.Linear(144, 3), nn.Conv2d(1, 4, 3)

    def forward(self, batch):
        outputs = self.head(batch.flatten(1))
        self.seen = self.aside(batch)
        return outputs


def test_what_an_explainer_cannot_explain_it_refuses_in_one_line():
    tokens, batch = Tokens().eval(), inputs(2)
    with pytest.raises(UsageError, match=r"needs feature maps .* use integrated_gradients"):
        grad_cam(tokens, batch, OUTPUTS)
    with pytest.raises(UsageError, match=r"needs feature maps .* use integrated_gradients"):
        grad_cam(Aside().eval(), batch, OUTPUTS)
    with pytest.raises(UsageError, match="this one has none on its feature maps; use saliency"):
        guided_backpropagation(tokens, batch, OUTPUTS)
    # The ReLU of a head does not make the maps before it those of a network with ReLUs.
    for activation, name in ((nn.GELU(), "gelu"), (nn.SiLU(inplace=True), "silu")):
        maps = [nn.Conv2d(1, 4, 3), activation, nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        mixed = nn.Sequential(*maps, nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3)).eval()
        with pytest.raises(UsageError, match=f"this one has {name}; use saliency"):
            guided_backpropagation(mixed, batch, OUTPUTS)
    value = nn.Sequential(nn.Flatten(), nn.Linear(144, 1)).eval()
    with pytest.raises(UsageError, match="predicts a value; use integrated_gradients"):
        meaningful_perturbation(value, batch, torch.zeros(2, dtype=torch.int64))


class Brightness(nn.Module):
    """Two classes, told by how bright the brightest place is."""

    def __init__(self, sure=8.0):
        super().__init__()
        self.sure = sure

    def forward(self, batch):
        bright = batch.flatten(1).amax(dim=1)
        return torch.stack([torch.zeros_like(bright), self.sure * (bright - 1)], dim=1)


@pytest.mark.slow
def test_meaningful_perturbation_blurs_the_blob_alone(dims):
    batch = torch.zeros((1, 1, *[24] * dims))
    blob = (0, 0, *[slice(10, 14)] * dims)
    batch[blob] = 1.5
    found = meaningful_perturbation(Brightness(), batch, torch.tensor([1]), steps=60)
    inside = torch.zeros_like(batch, dtype=torch.bool)
    inside[blob] = True
    assert found[inside].mean() > 0.5
    assert found[~inside].mean() < 0.2


def test_a_probability_without_a_gradient_has_no_meaningful_perturbation():
    bright = torch.zeros((2, 1, 24, 24))
    bright[0, 0, 10:14, 10:14] = 1.5
    with pytest.raises(UsageError, match=r"1 of 2 samples, .* use integrated_gradients"):
        meaningful_perturbation(Brightness(80.0), bright, torch.tensor([1, 1]), steps=5)
    # What the network does not see need not be taken away.
    unseen = meaningful_perturbation(Brightness(80.0), bright[1:], torch.tensor([1]), steps=5)
    assert not unseen.any()


def test_the_blur_is_centred_and_keeps_the_mean_of_a_constant():
    impulse = torch.zeros(1, 1, 21, 21)
    impulse[..., 10, 10] = 1
    found = blur(impulse, 2.0)
    torch.testing.assert_close(found, found.flip(2))
    torch.testing.assert_close(found, found.flip(3))
    assert found[0, 0].argmax() == 10 * 21 + 10
    torch.testing.assert_close(blur(torch.ones(1, 2, 9, 9, 9), 1.5), torch.ones(1, 2, 9, 9, 9))
