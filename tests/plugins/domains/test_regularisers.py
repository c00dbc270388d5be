"""Each regulariser is its formula, and its gradient the one that follows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from mritk_domains.latent import LatentHead, draw
from mritk_domains.regularisers import (
    coral_distance,
    irm_penalty,
    kth_singular_value,
    normal_divergence,
    reweighted,
)


@pytest.fixture
def latent():
    return torch.randn(24, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("k", [1, 2, 3, 8])
def test_the_rank_term_is_numpys_kth_singular_value_and_its_gradient_u_vt(latent, k):
    latent.requires_grad_()
    value = kth_singular_value(latent, k)
    u, values, vt = np.linalg.svd(latent.detach().double().numpy(), full_matrices=False)
    assert value.item() == pytest.approx(values[k - 1], rel=1e-6)
    value.backward()
    expected = np.outer(u[:, k - 1], vt[k - 1])
    np.testing.assert_allclose(latent.grad.numpy(), expected, atol=1e-5)


def test_the_gradient_of_the_rank_term_is_that_of_finite_differences(latent):
    latent.requires_grad_()
    kth_singular_value(latent, 3).backward()
    whole, step = latent.detach().double().numpy(), 1e-6
    for row, column in ((0, 0), (7, 3), (23, 7)):
        moved = [whole.copy(), whole.copy()]
        moved[0][row, column] += step
        moved[1][row, column] -= step
        up, down = (np.linalg.svd(m, compute_uv=False)[2] for m in moved)
        slope = (up - down) / (2 * step)
        assert float(latent.grad[row, column]) == pytest.approx(slope, abs=1e-5)


def test_the_divergence_is_the_closed_form(latent):
    log_variance = latent.flip(0) / 2
    found = normal_divergence(latent, log_variance)
    own = Normal(latent, (log_variance / 2).exp())
    expected = kl_divergence(own, Normal(torch.zeros(()), torch.ones(()))).mean()
    torch.testing.assert_close(found, expected)
    assert float(normal_divergence(torch.zeros(3, 2), torch.zeros(3, 2))) == 0


def test_coral_compares_means_and_covariances_of_all_pairs_of_sites(latent):
    sites = latent.reshape(8, 3, 8)
    numbers = sites.double().numpy()
    expected = []
    for i, j in ((0, 1), (0, 2), (1, 2)):
        means = numbers[:, i].mean(0) - numbers[:, j].mean(0)
        covariances = np.cov(numbers[:, i].T) - np.cov(numbers[:, j].T)
        expected.append(np.mean(means**2) + np.mean(covariances**2))
    assert float(coral_distance(sites)) == pytest.approx(np.mean(expected), rel=1e-5)
    alike = sites[:, :1].expand(-1, 3, -1)
    assert float(coral_distance(alike)) == pytest.approx(0, abs=1e-12)


def test_irm_is_the_product_of_the_slopes_on_two_halves_of_each_site():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(8, 3, 2, generator=generator)
    targets = torch.randint(2, (8, 3), generator=generator)

    def slope(chosen, wanted):
        """The derivative of the loss by a factor of the logits, at 1."""
        probability = chosen.softmax(1)
        hot = torch.nn.functional.one_hot(wanted, 2)
        return ((probability - hot) * chosen).sum(1).mean()

    expected = np.mean(
        [
            float(slope(logits[::2, k], targets[::2, k]) * slope(logits[1::2, k], targets[1::2, k]))
            for k in range(3)
        ]
    )
    logits.requires_grad_()
    found = irm_penalty(logits, targets)
    assert found.item() == pytest.approx(expected, rel=1e-4)
    found.backward()
    assert logits.grad.abs().sum() > 0


def test_groupdro_moves_weights_towards_the_site_of_the_largest_loss():
    weights, losses = torch.full((3,), 1 / 3), torch.tensor([0.2, 1.5, 0.7])
    found = reweighted(weights, losses, 0.5)
    expected = np.exp(0.5 * losses.numpy())
    np.testing.assert_allclose(found.numpy(), expected / expected.sum(), rtol=1e-6)
    for _ in range(200):
        weights = reweighted(weights, losses, 0.5)
    assert weights.argmax() == 1
    assert float(weights.sum()) == pytest.approx(1)


# -- the latent head -------------------------------------------------------------------------------


def test_the_two_ways_to_draw(latent):
    log_variance = latent.flip(0)
    drawn = {}
    for published in (False, True):
        torch.manual_seed(3)
        drawn[published] = draw(latent, log_variance, published=published)
    torch.manual_seed(3)
    deviation, noise = (log_variance / 2).exp(), torch.randn(24, 8)
    torch.testing.assert_close(drawn[False], latent + deviation * noise)
    torch.testing.assert_close(drawn[True], (latent + deviation * noise) * deviation + latent)


@pytest.mark.parametrize("hidden", [0, 5])
@pytest.mark.parametrize("how", [None, "standard", "published"])
def test_training_gives_all_and_evaluation_the_outputs_for_the_means(hidden, how):
    head = LatentHead(6, 2, latent=4, hidden=hidden, drawn=how)
    features = torch.randn(10, 6)
    told = head.split(head.train()(features))
    assert told.outputs.shape == (10, 2)
    assert told.drawn.shape == told.mean.shape == (10, 4)
    torch.testing.assert_close(told.outputs, head.outputs(told.drawn))
    assert torch.equal(told.drawn, told.mean) == (how is None)
    assert (told.log_variance is None) == (how is None)
    scores = head.eval()(features)
    assert torch.equal(scores, head.outputs(told.mean))
    assert torch.equal(scores, head.plain().eval()(features))
