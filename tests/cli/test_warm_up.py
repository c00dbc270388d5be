"""Libraries are imported while data are read; what goes wrong there harms nobody."""

from __future__ import annotations

import gc
import threading

import pytest

from mritk import Architecture
from mritk.backbone import Backbone
from mritk.cli.warm_up import WarmUp
from mritk.records import Origin


def backbone(name, build, plugin="one", distribution="mritk-bench"):
    return Backbone(Architecture(name, build, origin=Origin(plugin, distribution)))


def test_one_network_of_each_plugin_is_built_in_a_thread_of_its_own():
    built = []

    def build(name):
        return lambda: built.append((name, threading.current_thread().name))

    warm_up = WarmUp()
    warm_up.start(
        [
            backbone("a", build("a")),
            backbone("b", build("b")),
            backbone("c", build("c"), plugin="two"),
        ]
    )
    warm_up.wait()
    assert built == [("b", "warm-up"), ("c", "warm-up")]


@pytest.mark.parametrize("distribution", ["", "toy.py", "mritk-toy"])
def test_networks_of_others_are_not_built_while_data_are_read(distribution):
    """Their code may enter another folder, to which relative paths of data would then refer."""
    built = []
    warm_up = WarmUp()
    warm_up.start([backbone("a", lambda: built.append(1), distribution=distribution)])
    warm_up.wait()
    assert built == []


@pytest.mark.parametrize(
    "error", [ImportError("no library"), ValueError("no sense"), SystemExit(3)]
)
def test_a_network_that_cannot_be_built_is_left_to_its_trial(error, capsys):
    def build():
        raise error

    built = []
    warm_up = WarmUp()
    warm_up.start([backbone("a", build), backbone("b", lambda: built.append(1), plugin="two")])
    warm_up.wait()
    assert built == [1]
    assert capsys.readouterr().err == ""


def test_there_is_nothing_to_wait_for_before_the_start():
    WarmUp().wait()


@pytest.mark.slow
def test_a_run_with_results_and_a_dry_run_import_nothing_ahead(run_toy, monkeypatch):
    started = []
    monkeypatch.setattr(WarmUp, "start", lambda self, backbones: started.append(len(backbones)))
    run_toy("--seeds", 1, "--dry-run")
    assert started == []
    run_toy("--seeds", 1)
    assert started == [1]
    run_toy("--seeds", 1)
    assert started == [1], "there may be nothing to train"


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_is_collected_afterwards_as_before(collects):
    was, seen = gc.isenabled(), []
    try:
        (gc.enable if collects else gc.disable)()
        warm_up = WarmUp()
        warm_up.start([backbone("a", lambda: seen.append(gc.isenabled()))])
        warm_up.wait()
        assert (seen, gc.isenabled()) == ([False], collects)
    finally:
        (gc.enable if was else gc.disable)()
