"""Every hook works, is documented, and has a test here that is named after it."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from mritk.plugins import hookspecs
from mritk.plugins.loading import NOUNS
from mritk.plugins.registry import Registry

DOCS = Path(__file__).parents[1] / "docs" / "plugins.md"
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("mritk_"))

MOMENTS = """
from mritk import hookimpl

LOG = []

@hookimpl
def mritk_run_start(plan): LOG.append(("run_start", len(plan.todo)))

@hookimpl
def mritk_trial_start(trial, position, total): LOG.append(("trial_start", position, total))

@hookimpl
def mritk_epoch_end(trial, epoch): LOG.append(("epoch_end", epoch.epoch))

@hookimpl
def mritk_trial_finish(trial, outcome):
    LOG.append(("trial_finish", outcome.error, outcome.path.exists()))

@hookimpl
def mritk_run_finish(outcomes):
    LOG.append(("run_finish", len(outcomes)))
    import builtins
    builtins.moments_log = LOG
"""


@pytest.fixture
def moments(run_toy, tmp_path, monkeypatch):
    """What a plugin on all moments was told in a run of two trials."""
    import builtins

    monkeypatch.setattr(builtins, "moments_log", None, raising=False)
    plugin = tmp_path / "moments.py"
    plugin.write_text(MOMENTS)
    assert run_toy("-p", plugin, "--seeds", 2).code == 0
    return builtins.moments_log


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test(hook):
    assert f"test_{hook}" in globals()


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_with_its_signature(hook):
    arguments = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert f"{hook}({arguments})" in DOCS.read_text(encoding="utf-8")


def test_documents_no_hook_that_does_not_exist():
    words = DOCS.read_text(encoding="utf-8").replace("`", " ").replace("(", " ").split()
    named = {word for word in words if word.startswith("mritk_") and word in dir(hookspecs)}
    assert named == set(HOOKS)


def test_every_noun_is_a_hook():
    assert {f"mritk_{noun}" for noun in NOUNS} <= set(HOOKS)


def test_mritk_backbones(toy):
    assert Registry.load([str(toy)], environ={}).backbone("tiny").name == "tiny@scratch"


def test_mritk_datasets(toy):
    assert Registry.load([str(toy)], environ={}).dataset("bands").name == "bands"


def test_mritk_augmentations():
    assert Registry.load(environ={}).augmentation("flip").name == "flip"


def test_mritk_methods():
    assert Registry.load(environ={}).method("finetune").name == "finetune"


def test_mritk_protocols():
    assert "finetune" in Registry.load(environ={}).protocol("quick").text()


BENCHMARK = """

@hookimpl
def mritk_benchmarks():
    from mritk import BenchmarkFile
    yield BenchmarkFile("ours", lambda: """


@pytest.mark.slow
def test_mritk_benchmarks(mritk, toy, fast_protocol, tmp_path):
    text = (
        f'backbones = ["tiny"]\ndatasets = ["bands"]\nprotocols = ["{fast_protocol}"]\nseeds = [5]'
    )
    toy.write_text(f"{toy.read_text()}{BENCHMARK}{text!r})\n")
    ended = mritk("run", "ours", "-p", toy, "-n", "-o", tmp_path / "results")
    assert ended.code == 0, ended.err
    assert "tiny@scratch" in ended.out
    assert "1 of 1 trials would run" in ended.err
    assert "quickstart" in mritk("list", "benchmarks").out


def test_a_broken_benchmark_is_told_with_its_name(mritk, toy):
    toy.write_text(f"{toy.read_text()}{BENCHMARK}'backbone = []')\n")
    ended = mritk("run", "ours", "-p", toy, "-n")
    assert ended.code == 2
    assert "benchmark ours, line 1: backbone: unknown key" in ended.err


METRIC = """
import numpy as np
from mritk import Metric, Undefined, hookimpl

def top_class(targets, scores, weights):
    if len(targets) > 1000:
        raise Undefined("too many samples")
    return np.average(scores.argmax(axis=1) == targets, weights=weights)

@hookimpl
def mritk_metrics():
    yield Metric("{name}", "of mine", True, top_class, bounds=(0, 1))
"""


@pytest.mark.slow
def test_mritk_metrics(mritk, run_toy, tmp_path):
    plugin = tmp_path / "metric.py"
    plugin.write_text(METRIC.format(name="mine"))
    assert run_toy("--seeds", 1).code == 0
    named = ("--metric", "mine", "--metric", "accuracy", "--json")
    ended = mritk("leaderboard", "-p", plugin, tmp_path / "results", *named)
    (row,) = json.loads(ended.out)["tables"][0]["rows"]
    mine, own = row["metrics"]["mine"], row["metrics"]["accuracy"]
    assert mine["mean"] == own["mean"]
    assert mine["interval"]["reason"] == own["interval"]["reason"]
    assert mine["interval"]["low"] == pytest.approx(own["interval"]["low"], abs=1e-4)
    assert "metric.py" in mritk("list", "metrics", "-p", plugin).out


@pytest.mark.slow
def test_mritk_executors(run_toy, tmp_path):
    plugin = tmp_path / "here.py"
    plugin.write_text(
        "from mritk import Executor, hookimpl\n\n\n"
        "def run(function, jobs, at_once):\n    yield from map(function, jobs)\n\n\n"
        "@hookimpl\ndef mritk_executors():\n    yield Executor('here', run)\n"
    )
    ended = run_toy("-p", plugin, "--executor", "here", "--seeds", 2)
    assert ended.code == 0, ended.err
    assert len(list((tmp_path / "results" / "trials").iterdir())) == 2


def test_mritk_explainers():
    explainer = Registry.load(environ={}).explainer("saliency")
    assert explainer.origin.plugin == "saliency"


@pytest.mark.slow
def test_a_metric_with_a_name_of_mritks_own_is_refused(mritk, run_toy, tmp_path):
    plugin = tmp_path / "metric.py"
    plugin.write_text(METRIC.format(name="mcc"))
    assert run_toy("--seeds", 1).code == 0
    ended = mritk("leaderboard", "-p", plugin, tmp_path / "results")
    assert ended.code == 2
    assert "'-p no:metric' excludes it" in ended.err


def test_mritk_commands(mritk, tmp_path):
    plugin = tmp_path / "extra.py"
    plugin.write_text(
        "import click\nfrom mritk import hookimpl\n\n\n@hookimpl\ndef mritk_commands(cli):\n"
        "    @cli.command()\n    def hello():\n        'Say hello.'\n        click.echo('hello')\n"
    )
    assert mritk("-p", plugin, "hello").out == "hello\n"
    assert "Say hello." in mritk("-p", plugin, "--help").out
    assert mritk("hello").code == 2, "gone without the plugin"


def test_a_command_that_mritk_has_is_warned_of(mritk, tmp_path):
    plugin = tmp_path / "extra.py"
    plugin.write_text(
        "import click\nfrom mritk import hookimpl\n\n\n@hookimpl\ndef mritk_commands(cli):\n"
        "    @cli.command()\n    def doctor():\n        click.echo('hello')\n"
    )
    ended = mritk("-p", plugin, "--help")
    assert ended.code == 0
    assert "(extra) adds a command 'doctor', which mritk has; it is left out" in ended.err
    assert "Check every file of a results folder." in ended.out


def test_a_plugin_that_cannot_add_its_commands_harms_no_other(mritk, tmp_path):
    plugin = tmp_path / "extra.py"
    plugin.write_text(
        "from mritk import hookimpl\n\n\n@hookimpl\ndef mritk_commands(cli):\n    1 / 0\n"
    )
    ended = mritk("-p", plugin, "--help")
    assert ended.code == 0
    assert "(extra) cannot add its commands: ZeroDivisionError" in ended.err


@pytest.mark.slow
def test_mritk_run_start(moments):
    assert moments[0] == ("run_start", 2)


@pytest.mark.slow
def test_mritk_trial_start(moments):
    assert [m for m in moments if m[0] == "trial_start"] == [
        ("trial_start", 1, 2),
        ("trial_start", 2, 2),
    ]


@pytest.mark.slow
def test_mritk_epoch_end(moments):
    assert [m[1] for m in moments if m[0] == "epoch_end"] == [1, 2, 3, 1, 2, 3]


@pytest.mark.slow
def test_mritk_trial_finish(moments):
    assert [m for m in moments if m[0] == "trial_finish"] == [("trial_finish", "", True)] * 2


@pytest.mark.slow
def test_mritk_run_finish(moments):
    assert moments[-1] == ("run_finish", 2)
