"""The parts of a Fader network: their shapes, and where a site is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mritk_fader.networks import Decoder, adversary, encoder, features_of, with_map
from mritk_fader.scans import codes_of, spread


@pytest.mark.parametrize("dims", [2, 3])
def test_each_level_halves_the_sides_and_the_decoder_is_told_the_site_before_every_layer(dims):
    batch, sites = torch.rand(3, 2, *[16, 8, 8][:dims]), torch.eye(3)
    coder, decoder = encoder(2, 4, 3, dims), Decoder(2, 4, 3, 3, dims)
    latent = coder(batch)
    assert latent.shape == (3, 16, *[2, 1, 1][:dims])
    assert decoder(latent, sites).shape == batch.shape
    taken = [level[0].in_channels for level in decoder.levels] + [decoder.last.in_channels]
    assert taken == [16 + 3, 8 + 3, 4 + 3, 4 + 3]
    kinds = (nn.modules.conv._ConvNd,)
    layers = [m for m in coder if isinstance(m, kinds)]
    assert [layer.kernel_size[0] for layer in layers] == [4, 4, 4, 3]


def test_a_site_is_one_channel_of_ones():
    mapped = with_map(torch.zeros(2, 1, 3, 4), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    assert mapped.shape == (2, 3, 3, 4)
    assert mapped.sum(dim=(2, 3)).tolist() == [[0, 0, 12], [0, 12, 0]]


def test_adversary_and_regression_see_means_or_the_grid():
    latent = torch.randn(5, 4, 2, 2, 2)
    torch.testing.assert_close(features_of(latent, "mean"), latent.mean(dim=(2, 3, 4)))
    assert features_of(latent, "grid").shape == (5, 32)
    assert adversary(4, 3, 0.3)(features_of(latent, "mean")).shape == (5, 3)


def test_positive_values_of_each_channel_span_zero_to_one():
    images = torch.randint(0, 200, (3, 2, 5, 6), generator=torch.Generator().manual_seed(0)).float()
    images[2] = 0
    found = spread(images).numpy()
    for sample, result in zip(images.numpy(), found, strict=True):
        for channel, values in zip(sample, result, strict=True):
            inside = channel > 0
            assert not values[~inside].any()
            if inside.any():
                low, high = channel[inside].min(), channel.max()
                expected = (channel[inside] - low) / (high - low)
                np.testing.assert_allclose(values[inside], expected, rtol=1e-6)
    assert np.isfinite(found).all()


def test_a_site_that_is_not_known_has_no_code():
    assert codes_of(["b", "x", "a"], ["a", "b"], 3).tolist() == [[0, 1], [0, 0], [1, 0]]
    assert not codes_of(None, ["a", "b"], 2).any()
