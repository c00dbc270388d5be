"""Backbones that break one promise each; they are named after it. ``good`` breaks none."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import nn

from mritk import Architecture, InputContract, Weights, hookimpl

GREY = InputContract(32, (0.5,), (0.5,))
PIXELS_8_BIT = InputContract(32, (123.7,), (58.4,))


class Net(nn.Module):
    """One convolution; sub-classes break it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 5, 4)

    def forward(self, batch):
        return self.conv(batch).relu().mean((2, 3))


class KeepsTheGrid(Net):
    def forward(self, batch):
        return self.conv(batch)


class CentresTheBatch(Net):
    def forward(self, batch):
        features = super().forward(batch)
        return features - features.mean(0, keepdim=True)


class AddsNoiseAlways(Net):
    def forward(self, batch):
        features = super().forward(batch)
        return features + 1e-4 * torch.randn_like(features)


class DrawsFromNumpy(Net):
    def __init__(self):
        import numpy as np

        super().__init__()
        nn.init.normal_(self.conv.weight)
        self.conv.weight.data *= float(np.random.default_rng().normal())


class SharesItsLayer(Net):
    shared = nn.Conv2d(1, 4, 5, 4)

    def __init__(self):
        super().__init__()
        self.conv = self.shared


class WritesIntoItsInput(Net):
    def forward(self, batch):
        return super().forward(batch.abs_() if not torch.is_grad_enabled() else batch.abs())


class HasAnUnusedLayer(Net):
    def __init__(self):
        super().__init__()
        self.classifier = nn.Linear(4, 1000)


class KeepsAPlainTensor(Net):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4), requires_grad=False)
        self.shift = torch.randn(4)  # a buffer in a well-made network

    def forward(self, batch):
        return super().forward(batch) + self.shift


class KeepsAMeanToItself(Net):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4), persistent=False)

    def forward(self, batch):
        features = super().forward(batch)
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * features.detach().mean(0)
        return features - self.mean


class CountsItsPasses(Net):
    """Its dropout grows with training, by a count that no state dict has."""

    passes = 0

    def forward(self, batch):
        features = super().forward(batch)
        if self.training:
            self.passes += 1
            features = nn.functional.dropout(features, min(0.5, self.passes / 10))
        return features


class DropsByNumpy(Net):
    def forward(self, batch):
        import numpy as np

        features = super().forward(batch)
        return features * float(np.random.random()) if self.training else features


def two_stages(network):
    return [("first", ["conv.weight"])]


def locate_online(workspace):
    import urllib.request

    try:
        urllib.request.urlopen("http://weights.example/net.pt")
    except OSError:
        return Path("nowhere.pt")
    return Path("nowhere.pt")


def locate_half(workspace):
    path = workspace.folder("weights") / "half.pt"
    torch.save({"conv.weight": Net().conv.weight}, path)
    return path


def locate_whole(workspace):
    path = workspace.folder("weights") / "whole.pt"
    torch.save(Net().state_dict(), path)
    return path


def weights(architecture, locate, **terms):
    given = {"license": "CC0-1.0", "pretrained_on": ("nothing",), "summary": "made up"} | terms
    return Weights(architecture, "made", locate, **given)


@hookimpl
def mritk_backbones():
    plain = partial(Architecture, input=GREY, summary="breaks one promise")
    yield plain("good", Net)
    yield weights("good", locate_whole)
    yield plain("features_are_float32_vectors", KeepsTheGrid)
    yield plain("takes_a_batch_of_one", CentresTheBatch)
    yield plain("is_deterministic_in_evaluation", AddsNoiseAlways)
    yield plain("starts_from_the_seed", DrawsFromNumpy)
    yield plain("is_built_anew", SharesItsLayer)
    yield plain("leaves_its_input_alone", WritesIntoItsInput)
    yield plain("gradients_reach_every_parameter", HasAnUnusedLayer)
    yield plain("stages_cover_the_network", Net, stages=two_stages)
    yield plain("state_dict_comes_back_whole", KeepsAPlainTensor)
    yield plain("training_changes_only_its_state_dict", KeepsAMeanToItself)
    yield plain("counts_its_passes", CountsItsPasses)
    yield plain("drops_by_numpy", DropsByNumpy)
    yield plain("weights_match_in_full", Net)
    yield weights("weights_match_in_full", locate_half)
    yield Architecture("keeps_its_input_contract", Net, PIXELS_8_BIT, summary="in 8-bit units")
    yield plain("declares_licence_and_pretraining", Net)
    yield weights("declares_licence_and_pretraining", locate_whole, license="not stated")
    yield plain("heeds_offline", Net)
    yield weights("heeds_offline", locate_online)
    yield plain("is_sent_to_workers", lambda: Net())  # noqa: PLW0108
