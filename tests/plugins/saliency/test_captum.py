"""Explainers against captum, where it is installed."""

from __future__ import annotations

import pytest
import torch

from mritk_saliency.grad_cam import LINEAR, grad_cam
from mritk_saliency.gradients import STEPS, integrated_gradients, saliency
from mritk_saliency.guided import guided_backpropagation
from tests.plugins.saliency.conftest import convolutional, inputs

OUTPUTS = torch.tensor([2, 0])
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def attr():
    return pytest.importorskip("captum.attr")


@pytest.fixture
def case(dims):
    return convolutional(dims), inputs(dims)


def test_saliency(attr, case):
    network, batch = case
    wanted = attr.Saliency(network).attribute(batch, OUTPUTS)
    torch.testing.assert_close(saliency(network, batch, OUTPUTS), wanted, **CLOSE)


def test_integrated_gradients(attr, case):
    network, batch = case
    wanted = attr.IntegratedGradients(network).attribute(
        batch, target=OUTPUTS, n_steps=STEPS, method="riemann_middle"
    )
    found = integrated_gradients(network, batch, OUTPUTS)
    torch.testing.assert_close(found, wanted.float(), **CLOSE)


def test_guided_backpropagation(attr, case):
    network, batch = case
    wanted = attr.GuidedBackprop(network).attribute(batch, OUTPUTS)
    torch.testing.assert_close(guided_backpropagation(network, batch, OUTPUTS), wanted, **CLOSE)


def test_grad_cam(attr, case, dims):
    network, batch = case
    cam = attr.LayerGradCam(network, network[3])
    coarse = cam.attribute(batch, OUTPUTS, relu_attributions=True)
    wanted = attr.LayerAttribution.interpolate(coarse, batch.shape[2:], LINEAR[dims])
    torch.testing.assert_close(grad_cam(network, batch, OUTPUTS), wanted.detach(), **CLOSE)
