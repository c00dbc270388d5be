"""Explainers that refuse a network, or fail, are left out, and the maps of others are kept."""

from __future__ import annotations

import pytest

from mritk.plugins.registry import Registry
from mritk.store.explanations import read_explanations
from tests.explain.test_explain import USUAL

pytestmark = pytest.mark.slow

FAILING = """
from mritk import Explainer, hookimpl


@hookimpl
def mritk_explainers():
    yield Explainer("no_gradient", lambda network, batch, outputs: network(batch).backward())
    yield Explainer("flat_only", lambda network, batch, outputs: batch, spatial_dims=(2,))
"""


def test_an_explainer_that_fails_is_named(explain, tmp_path):
    (tmp_path / "failing.py").write_text(FAILING)
    more = ("-p", tmp_path / "failing.py", "--cases", "4")
    ended = explain("planted2", *more, "-e", "no_gradient")
    assert "explainer no_gradient of" in ended.err
    assert "failed: " in ended.err
    ended = explain("planted3", *more, "-e", "flat_only")
    assert "explainer flat_only cannot explain this network: it is not for volumes" in ended.err
    assert ended.code == 2


def test_explainers_that_refuse_a_network_are_left_out_unless_named(explain, here, monkeypatch):
    explainer = Registry.load([str(here / "planted.py")], {}).explainer("grad_cam")
    assert explainer.is_default

    def refusing(*arguments):
        from mritk import UsageError

        raise UsageError("it cannot")

    monkeypatch.setattr("mritk_saliency.grad_cam.grad_cam", refusing)
    ended = explain("planted2", "--cases", "4")
    assert "mritk: without grad_cam: it cannot" in ended.err
    assert ended.code == 0
    ended = explain("planted2", "-e", "grad_cam")
    assert "explainer grad_cam cannot explain this network: it cannot" in ended.err
    assert ended.code == 2


REFUSING_ZEROS = """
from mritk import Explainer, UsageError, hookimpl


def wants_something(network, batch, outputs):
    if not batch.flatten(1).any(dim=1).all():
        raise UsageError("there is nothing to see")
    return batch.clone()


@hookimpl
def mritk_explainers():
    yield Explainer("wants_something", wants_something)
"""


def test_an_explainer_that_refuses_inputs_that_no_case_has_is_used(explain, tmp_path):
    (tmp_path / "refusing.py").write_text(REFUSING_ZEROS)
    ended = explain(
        "planted2", "-p", tmp_path / "refusing.py", "-e", "wants_something", "--cases", "2"
    )
    assert ended.code == 0, ended.err
    assert "wants_something" in ended.out


@pytest.mark.parametrize("calls", [0, 3], ids=["at once", "in the second batch"])
def test_an_explainer_that_fails_is_left_out_and_the_other_maps_are_stored(
    explain, here, monkeypatch, calls, tmp_path
):
    from mritk_saliency.grad_cam import grad_cam

    done = []

    def failing(*arguments):
        done.append(arguments)
        if len(done) > calls:
            raise RuntimeError("no gradient")
        return grad_cam(*arguments)

    monkeypatch.setattr("mritk_saliency.grad_cam.grad_cam", failing)
    ended = explain("planted2", "--cases", "20", "-o", tmp_path)
    assert ended.code == 0
    (line,) = [line for line in ended.err.splitlines() if "without grad_cam" in line]
    assert line.endswith("failed: no gradient")
    (path,) = tmp_path.glob("*.h5")
    found = read_explanations(path)
    assert found.explainers == USUAL[1:] and "grad_cam" not in found.scores
    assert all(len(maps) == 20 for maps in found.maps.values())
    monkeypatch.setattr("mritk_saliency.gradients.saliency", failing)
    ended = explain("planted2", "--cases", "20", "-e", "saliency", "-o", tmp_path / "none")
    assert ended.code != 0 and "no gradient" in ended.err and "Traceback" not in ended.err
