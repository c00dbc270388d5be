"""A long study at small scale, never to be mixed with its results."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace

import pytest

from mritk import Architecture, InputContract
from mritk.backbone import Backbone
from mritk.cli.run import REHEARSAL
from mritk.errors import UsageError
from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder
from mritk.study.benchmark import find_protocol
from mritk.study.rehearsal import Rehearsal

# Weights that are nowhere, an alias for them, and a network for one size alone.
MORE = """
from mritk import Alias, Architecture, InputContract, Weights, hookimpl
from mritk.errors import Unavailable


def nowhere(workspace):
    raise Unavailable("these weights are not here")


def build_picky():
    import torch
    from torch import nn

    class Picky(nn.Module):
        def __init__(self):
            super().__init__()
            self.position = nn.Parameter(torch.zeros(3, 96, 96))

        def forward(self, batch):
            return (batch + self.position).mean(dim=(2, 3))

    return Picky()


@hookimpl
def mritk_backbones():
    yield Weights("tiny", "brain", locate=nowhere)
    yield Weights("tiny", "liver", locate=nowhere)
    yield Alias("favourite", "tiny@brain")
    yield Architecture("picky", build_picky, InputContract(96, (0.5,) * 3, (0.5,) * 3))
"""
LONG = """
method = "finetune"
image_size = 224

[split]
scheme = "kfold"
folds = 3

[parameters]
batch_size = 16

[[parameters.stages]]
name = "head"
epochs = 500
train_last = 0.0
warmup = 0.1

[[parameters.stages]]
name = "all"
epochs = 5000
early_stopping = 8
"""
STUDY = """
backbones = ["tiny@brain", "favourite", "tiny@liver", "tiny@file:nowhere/weights.pt"]
datasets = ["bands"]
protocols = ["long.toml"]
seeds = [4, 5, 6]
folds = [2, 1]
"""


@pytest.fixture
def study(tmp_path, toy, monkeypatch):
    """The call of a study of days, whose weights are not here; the present folder is empty."""
    (tmp_path / "more.py").write_text(MORE)
    (tmp_path / "long.toml").write_text(LONG)
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    plugins = ("-p", toy, "-p", tmp_path / "more.py")
    return ("run", *plugins, tmp_path / "study.toml", "--device", "cpu")


@pytest.fixture
def registry(study, toy, tmp_path):
    return Registry.load([str(toy), str(tmp_path / "more.py")], {})


@pytest.fixture
def protocol(registry, tmp_path):
    return find_protocol(str(tmp_path / "long.toml"), registry)


def trials_in(folder):
    return list(ResultsFolder(folder).trials())


# -- a run -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_study_of_days_is_rehearsed_in_a_moment_and_promises_no_scores(
    mritk, study, tmp_path, protocol, monkeypatch
):
    """One seed, one fold, no weights, in a folder of its own; and it can be repeated."""
    monkeypatch.setattr(sys, "argv", ["mritk", *map(str, study), "--rehearse"])
    ended = mritk(*study, "--rehearse")
    assert ended.code == 0, ended.err
    assert "| tiny@scratch" in ended.out
    assert "protocol long (rehearsal)" in ended.out
    assert "scores are meaningless" in ended.err
    assert "Small-scale rehearsals with random weights: scores are meaningless" in ended.out
    assert "--format latex" not in ended.err, "no table for a paper"
    assert "mritk show" in ended.err
    (trial,) = trials_in(tmp_path / "here" / REHEARSAL)
    assert (trial.status, trial.backbone) == ("finished", "tiny@scratch")
    assert (trial.seed, trial.fold) == (4, 0)
    assert [epoch.stage for epoch in trial.history] == ["head", "all"]
    kept = json.loads(trial.protocol_json)
    assert (kept["rehearsal"], kept["image_size"]) == (True, 64)
    assert kept["split"] == protocol.canonical()["split"]
    again = mritk("rerun", trial.id[:8], "--results", REHEARSAL, "--device", "cpu", "--trust")
    assert again.code == 0, again.err
    card = mritk("card", trial.id[:8], "--results", REHEARSAL)
    assert "A small-scale rehearsal with random weights" in card.out


@pytest.mark.slow
def test_results_and_rehearsals_never_share_a_table(mritk, study, tmp_path):
    """Even in one folder, and even where the study is as small as its rehearsal."""
    small = LONG.replace("5000", "1").replace("500", "1").replace("224", "32")
    (tmp_path / "long.toml").write_text(small)
    call = (*study, "-b", "tiny@scratch", "--fold", 0, "--seeds", 1, "-o", tmp_path / "one")
    trained = mritk(*call)
    assert trained.code == 0
    assert "--format latex" in trained.err
    assert "meaningless" not in trained.out + trained.err
    ended = mritk(*call, "--rehearse", "--json")
    assert ended.code == 0
    assert len(json.loads(ended.out)["trials"]) == 1, "the study's trial does not count as done"
    assert len({trial.fingerprint for trial in trials_in(tmp_path / "one")}) == 2
    board = json.loads(mritk("leaderboard", tmp_path / "one", "--json").out)
    assert sorted(table["protocol"] for table in board["tables"]) == ["long", "long (rehearsal)"]


def test_a_dry_run_and_a_check_of_a_rehearsal_need_no_weights(mritk, study, tmp_path):
    ended = mritk(*study, "--rehearse", "--dry-run", "--json")
    assert ended.code == 0
    (row,) = json.loads(ended.out)
    assert (row["backbone"], row["state"]) == ("tiny@scratch", "would run")
    assert not (tmp_path / "here" / REHEARSAL).exists()
    assert mritk(*study, "--rehearse", "--check").code == 0
    assert mritk(*study, "--check").code == 4, "the study itself lacks them"


@pytest.mark.slow
def test_workers_rehearse_too(mritk, study, tmp_path):
    ended = mritk(*study, "--rehearse", "--vary", "split.shots=2,3", "--jobs", 2)
    assert ended.code == 0, ended.err
    found = trials_in(tmp_path / "here" / REHEARSAL)
    assert sorted(trial.protocol for trial in found) == [
        "long[shots=2] (rehearsal)",
        "long[shots=3] (rehearsal)",
    ]
    assert all(len(trial.history) == 2 for trial in found)


def test_a_wrong_name_of_weights_is_found(mritk, study):
    ended = mritk(*study, "--rehearse", "-b", "tiny@brian")
    assert ended.code != 0
    assert "tiny@brain" in ended.err


# -- what becomes small ----------------------------------------------------------------------------


def test_a_rehearsal_is_small_in_every_respect(registry):
    standard = find_protocol("standard", registry)
    many = find_protocol("standard", registry, {"split.shots": 40, "split.repeats": 3})
    small = Rehearsal().of_protocol(many)
    assert small.name == "standard[shots=40, repeats=3] (rehearsal)"
    assert (small.image_size, small.volume_size) == (64, 32)
    assert (small.split.shots, small.split.repeats) == (5, 1)
    assert [stage.epochs for stage in small.parameters.stages] == [1, 1]
    assert small.parameters.head == standard.parameters.head


def test_what_is_small_already_stays_so_and_is_another_protocol_all_the_same(registry):
    probe = find_protocol("linear_probe", registry, {"image_size": 32, "volume_size": 16})
    small = Rehearsal().of_protocol(probe)
    assert (small.image_size, small.volume_size, small.split.shots) == (32, 16, 0)
    assert small.parameters == probe.parameters
    assert small.fingerprint != probe.fingerprint


def test_no_protocol_file_can_call_itself_a_rehearsal(mritk, study, tmp_path):
    (tmp_path / "long.toml").write_text("rehearsal = true\n" + LONG)
    ended = mritk(*study, "--dry-run")
    assert ended.code == 2
    assert "unknown key 'rehearsal'" in ended.err


@pytest.mark.parametrize(("size", "small"), [(224, 64), (64, 64), (32, 32), (None, 64)])
def test_images_become_small_and_never_larger(protocol, size, small):
    assert Rehearsal().of_protocol(replace(protocol, image_size=size)).image_size == small


def test_a_network_for_one_size_alone_keeps_the_size_of_the_study(registry, workspace, protocol):
    tiny, picky = (Backbone(registry.backbone(n).architecture) for n in ("tiny", "picky"))
    found = Rehearsal.of([tiny, picky], workspace)
    assert found == Rehearsal(image_size=None)
    assert found.of_protocol(protocol).image_size == protocol.image_size == 224
    assert Rehearsal.of([tiny], workspace) == Rehearsal()


def test_a_contract_that_tells_its_sizes_saves_building_the_network(workspace):
    def build():
        raise AssertionError("built")

    def rehearsal(**sizes):
        return Rehearsal.of(
            [Backbone(Architecture("net", build, InputContract(**sizes)))], workspace
        )

    assert rehearsal(size=224, fixed=True) == Rehearsal(image_size=None)
    assert rehearsal(size=224, minimum=96) == Rehearsal(image_size=None)
    assert rehearsal(size=224, minimum=32) == rehearsal(size=None) == Rehearsal()


@dataclass(frozen=True)
class Phase:
    epochs: int
    label: str = "phase"
    warmup_epochs: int = 7


@dataclass(frozen=True)
class Nested:
    """Parameters of a method that mritk does not know."""

    phases: tuple[Phase, ...]
    by_name: dict[str, Phase]
    last: Phase
    epochs: int = 0
    least: int = 1

    def __post_init__(self):
        if self.last.epochs < self.least:
            raise ValueError(f"the last phase needs {self.least} epochs")


def test_epochs_of_any_method_become_one_at_any_depth(protocol):
    parameters = Nested((Phase(30), Phase(1, "b")), {"x": Phase(9)}, Phase(12))
    small = Rehearsal().of_protocol(replace(protocol, parameters=parameters)).parameters
    assert small == Nested((Phase(1), Phase(1, "b")), {"x": Phase(1)}, Phase(1))
    assert small.phases[0].warmup_epochs == 7, "other numbers stay"
    assert small.epochs == 0, "none stays none"


def test_a_method_that_refuses_one_epoch_is_named(protocol):
    stubborn = replace(protocol, parameters=Nested((), {}, Phase(12), least=5))
    with pytest.raises(UsageError, match=r"long cannot be rehearsed.* needs 5 epochs"):
        Rehearsal().of_protocol(stubborn)
