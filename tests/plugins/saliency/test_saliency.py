"""Gradients as explanations, against closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mritk_saliency.gradients import integrated_gradients, saliency


@pytest.fixture
def batch():
    return torch.randn((2, 3, 5, 5), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(75, 4)).eval()


OUTPUTS = torch.tensor([3, 1])


def test_saliency_of_a_linear_network_is_the_size_of_its_weights(linear, batch):
    weights = linear[1].weight.detach()[OUTPUTS].reshape(batch.shape)
    torch.testing.assert_close(saliency(linear, batch, OUTPUTS), weights.abs())


def test_integrated_gradients_of_a_linear_network_are_weight_times_input(linear, batch):
    weights = linear[1].weight.detach()[OUTPUTS].reshape(batch.shape)
    torch.testing.assert_close(integrated_gradients(linear, batch, OUTPUTS), weights * batch)


def test_integrated_gradients_add_up_to_the_difference_from_the_baseline(batch):
    """Completeness, proposition 1 of Sundararajan et al. (2017)."""
    torch.manual_seed(1)
    layers = (nn.Conv2d(3, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(54, 4))
    network = nn.Sequential(*layers).eval()
    found = integrated_gradients(network, batch, OUTPUTS).flatten(1).sum(1)
    with torch.no_grad():
        chosen = network(batch) - network(torch.zeros_like(batch))
    expected = chosen.gather(1, OUTPUTS[:, None])[:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_works_where_gradients_are_switched_off(linear, batch):
    with torch.no_grad():
        assert saliency(linear, batch, OUTPUTS).any()
