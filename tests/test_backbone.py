"""A backbone under the normalisation that a protocol asks for."""

from __future__ import annotations

import pytest

from mritk import Architecture, InputContract, Unavailable, UsageError, Weights, Workspace
from mritk.backbone import Backbone, require_weights

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
    assert told == ["fetching the weights of net@mine …"]


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
