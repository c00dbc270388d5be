"""``mritk compare`` on real runs: an equal one, a truly worse one, one under another protocol."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mritk.execute import run_trial as trial_module
from mritk.store.folder import ResultsFolder

PLUGIN = '''
"""A tiny network, and 300 images of 100 patients; the class is a bright horizontal band."""
import numpy as np
from mritk import Architecture, Classification, Dataset, InputContract, Samples, hookimpl


def build_tiny():
    from torch import nn

    def block(width_in, width):
        return [nn.Conv2d(width_in, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]

    return nn.Sequential(*block(3, 8), *block(8, 16), nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten())


def open_bands(workspace):
    rng = np.random.default_rng(0)
    targets = np.arange(300) // 3 % 2
    images = rng.integers(0, 200, (300, 32, 32)).astype(np.uint8)
    for image, target in zip(images, targets):
        image[16 * target : 16 * target + 16] //= 2
    return Samples(
        ids=[f"image-{i:03d}" for i in range(300)],
        targets=targets,
        task=Classification(("top", "bottom")),
        read=lambda i: images[i],
        patients=[f"patient-{i // 3:02d}" for i in range(300)],
    )


@hookimpl
def mritk_backbones():
    yield Architecture("tiny", build_tiny, InputContract(32))


@hookimpl
def mritk_datasets():
    yield Dataset("bands", open_bands)
'''


@pytest.fixture
def run(mritk, tmp_path, fast_protocol, audited_before):
    """Run the network on the images into a folder of this name."""
    plugin = tmp_path / "bands.py"
    plugin.write_text(PLUGIN)
    audited_before(plugin)

    def call(name, *arguments):
        base = ("run", "-p", plugin, "-b", "tiny", "-d", "bands", "--seeds", 2, "--device", "cpu")
        ended = mritk(*base, "--protocol", fast_protocol, "-o", tmp_path / name, *arguments)
        assert ended.code == 0, ended.err
        return tmp_path / name

    return call


def shuffle_training_labels(monkeypatch):
    """A defect such as a change of code brings: targets no longer belong to their images."""
    honest = trial_module._setup

    def shuffled(*arguments):
        setup = honest(*arguments)
        samples = setup.train.samples
        targets = np.random.default_rng(0).permutation(samples.targets)
        return replace(setup, train=replace(setup.train, samples=replace(samples, targets=targets)))

    monkeypatch.setattr(trial_module, "_setup", shuffled)


@pytest.mark.slow
def test_an_equal_run_passes(mritk, run):
    ended = mritk("compare", run("base"), run("head"))
    assert ended.code == 0
    assert ended.out.startswith("**No regression detected.**")
    assert "cannot tell" in ended.out


@pytest.mark.slow
def test_a_run_on_shuffled_labels_fails(mritk, run, monkeypatch):
    base = run("base")
    shuffle_training_labels(monkeypatch)
    head = run("head")
    ended = mritk("compare", base, head, "--fail-on", "balanced_accuracy < -1.0pt")
    assert ended.code == 1
    assert ended.out.startswith("**Significantly worse:** tiny@scratch")
    assert "▼ worse ✗" in ended.out
    assert mritk("compare", base, head).code == 1, "also without a rule"
    assert mritk("compare", head, base).code == 0, "the other way round it is better"
    data = json.loads(mritk("compare", base, head, "--json").out)
    assert data["changes"][0]["difference"] < -0.2
    diff = mritk("leaderboard", head, "--diff", base)
    assert diff.code == 0, "a table alone fails nothing"
    assert "▼ worse" in diff.out


@pytest.mark.slow
def test_a_run_under_another_protocol_is_not_compared(mritk, run, fast_protocol):
    base = run("base")
    fast_protocol.write_text(fast_protocol.read_text().replace("epochs = 2", "epochs = 3"))
    ended = mritk("compare", base, run("head"))
    assert ended.code == 4
    assert "parameters.stages[1].epochs: 2 | 3" in ended.out


@pytest.mark.slow
def test_a_missing_trial_gives_4(mritk, run, tmp_path):
    base = run("base")
    head = shutil.copytree(base, tmp_path / "head")
    next((head / "trials").glob("*.h5")).unlink()
    ended = mritk("compare", base, head)
    assert ended.code == 4
    assert "is missing in the head" in ended.out


@pytest.mark.slow
def test_a_folder_that_does_not_exist_and_an_unreadable_rule_are_usage(mritk, run, tmp_path):
    base = run("base")
    ended = mritk("compare", base, tmp_path / "nowhere")
    assert ended.code == 2
    assert "no results folder" in ended.err
    ended = mritk("compare", base, base, "--fail-on", "balanced accuracy falls")
    assert ended.code == 2
    assert "balanced_accuracy < -1.0pt" in ended.err


@pytest.mark.slow
def test_a_crash_is_none_of_these(mritk, run, monkeypatch):
    base = run("base")
    monkeypatch.setattr("mritk.compare.gate.compare_folders", lambda *_, **__: 1 / 0)
    assert mritk("compare", base, base).code == 3


@pytest.mark.slow
def test_the_gate_may_be_of_some_datasets_or_protocols(mritk, make_record, tmp_path):
    bands = make_record(id="aaaa")
    rings = make_record(id="bbbb", dataset="rings", dataset_fingerprint="of rings")
    for folder, records in (("base", [bands, rings]), ("head", [bands])):
        for record in records:
            ResultsFolder(tmp_path / folder).write(record)

    def gate(*options):
        return mritk("compare", tmp_path / "base", tmp_path / "head", *options)

    assert gate().code == 4, "rings is missing"
    assert gate("-d", bands.dataset).code == 0
    assert gate("-d", f"{bands.dataset[:2]}*", "--protocol", bands.protocol).code == 0
    assert gate("-d", "rings").code == 4
    diff = ("leaderboard", tmp_path / "head", "--diff", tmp_path / "base")
    compared, missing = mritk(*diff, "-d", bands.dataset), mritk(*diff, "-d", "rings")
    assert (compared.code, missing.code) == (0, 5)
    assert compared.out.startswith("**No regression detected.**")
    assert missing.out.startswith("**Nothing could be compared.**")
    assert "mritk: no trials" not in missing.err
    ResultsFolder(tmp_path / "head").write(replace(rings, dataset="circles"))
    assert gate("-d", "rings").code == gate("-d", "circles").code == 0, "the same data, renamed"
    assert gate("--protocol", "of no trial").code == 4, "nothing compared is no pass"


def test_a_choice_that_neither_folder_has_is_told(mritk, make_record, tmp_path):
    base, head = tmp_path / "base", tmp_path / "head"
    for folder in (base, head):
        ResultsFolder(folder).write(make_record())
    told = f"mritk: no trials of bnads in {base} or {head}\n"
    for command, code in ((("compare", base, head), 4), (("leaderboard", head, "--diff", base), 5)):
        ended = mritk(*command, "-d", "bnads")
        assert (ended.code, ended.err) == (code, told)


def test_a_format_that_differences_do_not_have_is_refused_before_they_are_computed(
    mritk, tmp_path, monkeypatch
):
    monkeypatch.setattr("mritk.compare.gate.compare_folders", lambda *_, **__: 1 / 0)
    (tmp_path / "trials").mkdir()
    ended = mritk("leaderboard", tmp_path, "--diff", tmp_path, "--format", "csv")
    assert ended.code == 2
    assert "--diff supports github, plain or json, not csv" in ended.err
