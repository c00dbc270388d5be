"""A backbone under the normalisation and the way to resize that a protocol asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mritk import Architecture, InputContract, Unavailable, UsageError, Weights, Workspace
from mritk.backbone import Backbone, require_weights
from mritk.model.contract import Normalise

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


def test_every_backbone_that_it_is_made_around_is_a_part():
    deepest = Backbone(NET, Weights("net", "mine", lambda workspace: None, OWN))
    middle, outer = (replace(NET, name=name) for name in ("middle:net", "outer:middle:net"))
    found = Backbone(outer, deepest.weights, Backbone(middle, deepest.weights, deepest)).parts
    assert found == {
        "architecture": outer,
        "weights": deepest.weights,
        "inner architecture": middle,
        "inner architecture 2": NET,
    }


# -- twice -----------------------------------------------------------------------------------------

PIXELS = torch.rand((2, 3, 4, 4), generator=torch.Generator().manual_seed(0))
MEAN, STD = (
    torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
)


def rescaling(pixels):
    """The first layer of Keras' EfficientNetV2: ``Rescaling(scale=1/128, offset=-1)``."""
    return pixels / 128 - 1


def normalization(pixels):
    """That of Keras' ConvNeXt: ``Normalization(mean=255 m, variance=(255 s)²)``."""
    return (pixels - 255 * MEAN) / ((255 * STD) ** 2).sqrt()


@pytest.mark.parametrize(
    ("own", "layer", "within"),
    [
        (InputContract(), normalization, 1e-5),
        # (x - 1/2) / (1/2) of timm's card is x / 127.5 - 1 of pixels to 255.
        (InputContract(mean=(0.5,) * 3, std=(0.5,) * 3), rescaling, 1e-4),
    ],
    ids=["convnext", "efficientnetv2"],
)
def test_what_keras_networks_do_to_pixels_that_were_normalised_before(own, layer, within):
    """They take -2 to 2.6 for 0 to 255, so that hardly anything is left of the image."""
    backbone = Backbone(Architecture("net", lambda: None, own))
    twice = backbone.normalised("imagenet", again=("net", "another"))
    seen = Normalise(twice.input, 2, "cpu")(PIXELS)
    torch.testing.assert_close(seen, layer((PIXELS - MEAN) / STD), atol=within, rtol=0)
    assert float(seen.std(dim=(0, 2, 3)).max()) < 0.05
    assert twice.identity != backbone.normalised("imagenet").identity


def test_colours_keep_their_own_mean_where_the_second_normalisation_turns_them_round():
    """One of Caffe's: blue comes first."""
    seen = Normalise(Backbone(NET).normalised("imagenet", again=("net",)).input, 2, "cpu")(PIXELS)
    once = Normalise(InputContract(), 2, "cpu")(PIXELS)
    torch.testing.assert_close(seen, Normalise(OWN, 2, "cpu")(once / 255))


def test_only_the_named_architectures_normalise_twice():
    backbone = Backbone(NET)
    assert backbone.normalised("own", again=("another",)) is backbone
    assert backbone.normalised("imagenet", again=("another",)) == backbone.normalised("imagenet")


# -- resizing --------------------------------------------------------------------------------------


def test_one_way_to_resize_for_all_changes_the_interpolation_and_nothing_else():
    resized = Backbone(NET).resized("nearest")
    assert resized.input == InputContract(300, OWN.mean, OWN.std, "nearest", "BGR")
    assert resized.identity != Backbone(NET).identity
    own = Backbone(NET)
    assert own.resized("own") is own


def test_volumes_are_resized_in_one_way():
    solid = Backbone(
        Architecture("solid", lambda: None, InputContract(32, (0.5,), (0.5,)), spatial_dims=3)
    )
    with pytest.raises(UsageError, match="solid@scratch takes no images"):
        solid.resized("nearest")


@pytest.fixture
def published(tmp_path):
    """Weights that a network brings on demand; what was fetched is listed."""
    file, fetched = tmp_path / "net.pt", []

    def locate(workspace):
        if not file.is_file():
            if workspace.offline:
                raise Unavailable("no net.pt on this machine (offline mode)")
            fetched.append(file)
            file.write_bytes(b"weights")
        return file

    return Backbone(NET, Weights("net", "mine", locate, OWN)), fetched


def test_weights_are_fetched_once_before_the_run_and_that_is_told(published, tmp_path):
    backbone, fetched = published
    told = []
    for _ in range(2):
        require_weights([backbone], Workspace(tmp_path), told.append)
    assert len(fetched) == 1
    assert told == ["downloading the weights of net@mine …"]


def test_offline_weights_that_are_not_here_are_refused_by_the_backbones_name(published, tmp_path):
    backbone, fetched = published
    with pytest.raises(Unavailable, match=r"net@mine: no net\.pt on this machine"):
        require_weights([backbone], Workspace(tmp_path, offline=True), pytest.fail)
    assert fetched == []


def test_a_fault_of_the_plugin_is_left_to_the_trial_which_keeps_its_traceback(tmp_path):
    def locate(workspace):
        raise KeyError("typo")

    broken = Backbone(NET, Weights("net", "mine", locate, OWN))
    require_weights([broken], Workspace(tmp_path), pytest.fail)
