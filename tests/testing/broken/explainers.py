"""Explainers that break one promise each; they are named after it. ``good`` breaks none."""

from __future__ import annotations

import torch

from mritk import Explainer, hookimpl
from mritk_saliency.gradients import saliency


def over_channels(network, batch, outputs):
    return saliency(network, batch, outputs).sum(1)


def noisy(network, batch, outputs):
    found = saliency(network, batch, outputs)
    return found + 1e-6 * found.max() * torch.randn(found.shape)


def looks_at_the_pixels_alone(network, batch, outputs):
    return batch.abs() * outputs.reshape(-1, *[1] * (batch.ndim - 1))


def explains_the_first_output(network, batch, outputs):
    return saliency(network, batch, torch.zeros_like(outputs))


def scales_by_the_batch(network, batch, outputs):
    found = saliency(network, batch, outputs)
    return found * len(batch)


def leaves_gradients(network, batch, outputs):
    given = batch.clone().requires_grad_()
    network(given).gather(1, outputs[:, None]).sum().backward()
    return given.grad.abs()


@hookimpl
def mritk_explainers():
    text = "breaks one promise"
    yield Explainer("good", saliency, summary=text)
    yield Explainer("attributions_have_the_shape_of_the_input", over_channels, summary=text)
    yield Explainer("the_same_input_has_the_same_attribution", noisy, summary=text)
    yield Explainer("it_looks_at_the_weights", looks_at_the_pixels_alone, summary=text)
    yield Explainer(
        "it_looks_at_the_output_that_is_asked_for", explains_the_first_output, summary=text
    )
    yield Explainer("keeps_images_apart", scales_by_the_batch, summary=text)
    yield Explainer("leaves_the_network_as_it_was", leaves_gradients, summary=text)
    yield Explainer("is_sent_to_workers", lambda *given: saliency(*given), summary=text)  # noqa: PLW0108
