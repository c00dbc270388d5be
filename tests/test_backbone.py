"""A backbone under the normalisation that a protocol asks for."""

from __future__ import annotations

import pytest

from mritk import Architecture, InputContract, UsageError, Weights
from mritk.backbone import Backbone

OWN = InputContract(300, (0.5, 0.4, 0.3), (0.1, 0.2, 0.3), "bicubic", "BGR")
NET = Architecture("net", lambda: None, OWN)


@pytest.mark.parametrize("weights", [None, Weights("net", "mine", lambda workspace: None, OWN)])
def test_imagenet_for_all_changes_mean_std_and_order_and_nothing_else(weights):
    backbone = Backbone(NET, weights)
    forced = backbone.normalised("imagenet")
    assert forced.input == InputContract(300, interpolation="bicubic")
    assert forced.name == backbone.name
    assert forced.identity != backbone.identity, "another trial"
    assert backbone.normalised("own") is backbone


def test_a_grey_network_cannot_have_it():
    grey = Backbone(Architecture("grey", lambda: None, InputContract(32, (0.5,), (0.5,))))
    with pytest.raises(UsageError, match="grey@scratch takes 1 channels"):
        grey.normalised("imagenet")
