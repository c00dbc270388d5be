"""Times of a GPU's benchmark, at a tiny size on the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.speed import gpu_packing
from benchmarks.speed.fresh_process import ProcessFailed
from benchmarks.speed.gpu_probe import passed, solved
from benchmarks.speed.gpu_times import KERNELS, MAIN, Case, Times, write_many_pictures
from benchmarks.speed.peers_epoch import GPU_GOALS
from mritk import Workspace
from tests.train.recorded_work import whole_trainings

SMALL = Case("small_cnn", batch=4, size=32)


@pytest.fixture
def times(tmp_path):
    return Times("cpu", Workspace(tmp_path / "home"), images=10, validation=4, repeats=2)


@pytest.mark.slow
def test_an_epoch_beside_its_floor(times):
    row = times.epoch(SMALL)
    seconds = row.pop("samples")
    assert {name: len(of) for name, of in seconds.items()} == {"training": 2, "floor": 2}
    # Two full batches; the rest of ten images is nobody's.
    rates = [8 / (sum(seconds[name]) / 2) for name in ("training", "floor")]
    assert (row["images/s"], row["floor, images/s"]) == pytest.approx(rates, abs=1)
    ratios = [a / b for a, b in zip(seconds["training"], seconds["floor"], strict=True)]
    assert row["ratio"] == pytest.approx(sum(ratios) / 2, abs=1e-3)
    assert row["goals"].startswith("≤ 1.03: "), "and no large batch to compare it with"


def test_the_floor_has_the_optimiser_of_a_gpu(times):
    assert times.floor(SMALL).optimiser.defaults["fused"] is True


@pytest.mark.slow
def test_a_training_that_left_its_engine_is_not_timed_as_if_it_had_not(times, monkeypatch):
    def refuse(network, **options):
        def fail(batch):
            raise RuntimeError("no compiler found")

        return fail

    monkeypatch.setattr("mritk.train.compiled.torch.compile", refuse)
    with pytest.raises(RuntimeError, match=r"torch.compile failed \(no compiler found\)"):
        times.epoch(replace(SMALL, engine="compile"))
    assert not times.rates


@pytest.mark.slow
def test_two_precisions_of_a_network(times, monkeypatch):
    monkeypatch.setattr("mritk.batches.inputs.resolve_precision", lambda wish, device: wish)
    case, other = (replace(SMALL, precision=p) for p in ("bfloat16", "bfloat16_norms"))
    row = times.beside(case, other)
    assert set(row["samples"]) == {str(case), str(other)}
    assert row["bfloat16, images/s"] == round(times.rates[case])
    assert row["gain"] == pytest.approx(times.rates[other] / times.rates[case], abs=1e-3)


@pytest.mark.slow
def test_a_feature_pass_by_either_way_has_the_same_features(times):
    with whole_trainings():
        row = passed(replace(times, images=12), SMALL, at_once=4)
    assert row["largest difference"] == 0
    assert row["gain"] == pytest.approx(row["graphs, images/s"] / row["eager, images/s"], rel=0.05)


def test_a_case_sets_up_what_it_says(times):
    for engine in ("eager", "compile", "graphs"):
        setup = times.setup(replace(SMALL, engine=engine), repeats=3)
        assert (setup.compile, setup.graphs) == (engine == "compile", engine != "eager")
        assert not setup.deterministic
        assert setup.parameters.stages[0].epochs == 4
    assert times.setup(replace(SMALL, deterministic=True), 1).deterministic
    exact = replace(SMALL, precision="float32")
    assert times.setup(exact, 1).precision == "float32"
    assert str(exact).endswith("float32")


def test_every_main_backbone_has_its_goals():
    assert set(MAIN) == set(KERNELS) == set(GPU_GOALS)


@pytest.mark.parametrize(
    ("case", "rate", "over", "goals"),
    [
        (Case("resnet18"), 17_500.0, 1.02, "≤ 1.03: met"),
        (Case("resnet18", "graphs"), 12_100.0, 1.02, "≤ 1.03: met; ≥ 12039: met"),
        (Case("resnet18", "graphs"), 9_000.0, 1.05, "≤ 1.03: missed; ≥ 12039: missed"),
        (Case("densenet121", "compile"), 2_000.0, 0.6, "≥ 2594: missed"),
        (Case("resnet18", "graphs", batch=32), 7_000.0, 1.0, "≤ 1.03: met; 0.70 of batch 128"),
        (Case("resnet18", deterministic=True), 8_000.0, 1.0, "0.80 of eager"),
        (Case("densenet121", "graphs", batch=32), 1.0, 1.0, "≤ 1.03: met"),
        (Case("densenet121", deterministic=True), 1.0, 1.0, ""),
    ],
    ids=str,
)
def test_goals(times, case, rate, over, goals):
    """Of small batches and of determinism against what was timed before, if it was."""
    times.rates = {Case("resnet18"): 10_000.0, Case("resnet18", "graphs"): 10_000.0}
    times.rates[case] = rate
    assert times.goals(case, over) == goals


@pytest.mark.slow
def test_beside_other_loaders(times, tmp_path):
    write_many_pictures(tmp_path / "pictures", 10)
    row = replace(times, repeats=1).beside_peers(SMALL, tmp_path / "pictures", workers=0)
    seconds = row["samples"]
    assert set(seconds) == {"training", "floor", "torchvision", "timm"}
    (slow,), (fast,) = seconds["torchvision"], seconds["training"]
    assert row["torchvision / mritk"] == pytest.approx(slow / fast, rel=0.01)
    assert row["timm, images/s"] == pytest.approx(8 / seconds["timm"][0], abs=1)


@pytest.mark.parametrize("count", [3, 8, 19])
def test_pictures_that_are_drawn_stand_under_several_names(tmp_path, count):
    write_many_pictures(tmp_path, count)
    files = sorted(tmp_path.glob("train/*/*.jpg"))
    assert len(files) == count
    assert len({file.stat().st_ino for file in files}) == -(-count // 8)


@pytest.mark.slow
def test_two_trainings_at_once():
    row = gpu_packing.packed(SMALL, images=16, device="cpu", repeats=2)
    seconds = row["samples"]
    assert {name: len(of) for name, of in seconds.items()} == {"alone": 2, "at once": 2}
    longer = [b / a for a, b in zip(seconds["alone"], seconds["at once"], strict=True)]
    assert row["gain"] == pytest.approx(2 / (sum(longer) / 2), rel=0.01)
    assert row["trainings"] == 2


@pytest.mark.slow
def test_a_training_beside_others_that_does_not_start_is_told_in_its_own_words():
    with pytest.raises(ProcessFailed, match=r"a training beside others ended: .*no_such_net"):
        gpu_packing.packed(Case("no_such_net"), images=16, device="cpu", count=1)


class Lines:
    """A standard input that says ``go`` so many times, and then is closed."""

    def __init__(self, count):
        self.left = count

    def readline(self):
        self.left -= 1
        return "go\n" if self.left >= 0 else ""


@pytest.mark.slow
def test_a_training_beside_others_trains_an_epoch_for_each_line(monkeypatch, capsys):
    monkeypatch.setattr(gpu_packing.sys, "stdin", Lines(2))
    arguments = "--backbone small_cnn --size 32 --batch 4 --images 8 --device cpu"
    assert gpu_packing.main(arguments.split()) == 0
    assert capsys.readouterr().out.split() == ["1", "2", "3"]


def test_nothing_is_left_of_the_pictures_and_caches_of_a_training(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_packing.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(gpu_packing.sys, "stdin", Lines(0))
    arguments = "--backbone small_cnn --size 32 --batch 4 --images 8 --device cpu"
    assert gpu_packing.main(arguments.split()) == 0
    assert list(Path(tmp_path).iterdir()) == []


def test_the_probe_tells_steps_and_whether_it_came_to_an_end():
    row = solved(3, count=40, width=12, device="cpu")
    assert (row["images"], row["features"], row["decades"]) == (40, 12, 3)
    assert row["converged"]
    assert 0 < row["steps"] <= 130
