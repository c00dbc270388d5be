"""Trials of one backbone and shape stand together, the longest first."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from mritk.results.trial_index import TrialIndex
from mritk.store.folder import ResultsFolder
from mritk.store.trial_state import TrialState
from mritk.study.forecast import ENOUGH, Forecast
from mritk.study.plan import StudyPlan
from mritk.study.schedule import in_order
from mritk.trial import Trial


class FakeTrial(SimpleNamespace):
    """What is asked of a trial."""

    input_size = Trial.input_size


def trial(backbone: str, seed: int, size: int | None = 96, batch: int = 16, train: int = 100):
    protocol = SimpleNamespace(
        image_size=size,
        volume_size=None,
        fingerprint=f"{size} {batch}",
        parameters=SimpleNamespace(batch_size=batch),
    )
    return FakeTrial(
        id=f"{backbone} {seed}",
        backbone_name=backbone,
        backbone=SimpleNamespace(input=SimpleNamespace(size=224)),
        augmentation=SimpleNamespace(name="flip"),
        dataset=SimpleNamespace(
            samples=SimpleNamespace(spatial_dims=2), record=SimpleNamespace(name="brains")
        ),
        protocol=protocol,
        division=SimpleNamespace(train=np.arange(train)),
        seed=seed,
    )


def order(trials, seconds=()):
    return [one.id for one in in_order(StudyPlan(tuple(trials)), dict(seconds)).trials]


def test_trials_of_one_backbone_stand_together_and_seeds_keep_their_order():
    trials = [trial(name, seed) for seed in (0, 1) for name in ("small", "large")]
    assert order(trials) == ["small 0", "small 1", "large 0", "large 1"]


def test_the_longest_come_first_and_before_them_those_of_which_nothing_is_known():
    trials = [trial(name, seed) for seed in (0, 1) for name in ("small", "large", "new")]
    seconds = {"small 0": 3.0, "small 1": 3.0, "large 0": 60.0, "large 1": 60.0}
    assert order(trials, seconds) == [
        *("new 0", "new 1"),
        *("large 0", "large 1"),
        *("small 0", "small 1"),
    ]


def test_trials_whose_batches_have_other_shapes_stand_apart():
    """A size left open is that of the backbone; a batch holds no more images than there are."""
    trials = [
        trial("net", 0, 96),
        trial("net", 1, None),
        trial("net", 2, 96, batch=200),
        trial("net", 3, 96, batch=100),
        trial("net", 4, 224),
        trial("net", 5, 96),
    ]
    assert order(trials) == ["net 0", "net 5", "net 1", "net 4", "net 2", "net 3"]


def test_a_trial_is_expected_to_take_as_long_as_finished_ones_of_its_row(make_record, tmp_path):
    results = ResultsFolder(tmp_path)
    trials = [trial(name, seed) for name in ("net", "other") for seed in range(5)]
    for seed, (fit, more) in enumerate([(10, {}), (20, {}), (1, {"resumed_after_epochs": 3.0})]):
        record = make_record(seed=seed)
        record.cost = {"seconds_fit": float(fit), "seconds_predict": 1.0, "flops": 1e9, **more}
        results.write(record)
        trials[seed].id = record.id
    states = {one.id: TrialState.FINISHED for one in trials[:3]}
    forecast = Forecast.of(StudyPlan(tuple(trials), states), results)
    assert forecast.seconds == {one.id: 16.0 for one in trials[:5]}, "the median of 11 and 21"


def test_a_few_finished_trials_of_a_row_are_read_however_many_there_are(
    make_record, tmp_path, monkeypatch
):
    results, read = ResultsFolder(tmp_path), []
    trials = [trial(name, seed) for name in ("net", "other") for seed in range(ENOUGH + 9)]
    states = {one.id: TrialState.FINISHED for one in trials}

    def look_up(index, trial_ids):
        read.extend(trial_ids)
        return iter(())

    monkeypatch.setattr(TrialIndex, "look_up", look_up)
    Forecast.of(StudyPlan(tuple(trials), states), results)
    assert len(read) == len(set(read)) == 2 * ENOUGH


def test_and_as_much_memory_as_the_largest_of_them(make_record, tmp_path):
    results = ResultsFolder(tmp_path)
    trials = [trial("net", seed) for seed in range(4)]
    for seed, peak in enumerate([3e9, 2e9, None]):
        record = make_record(seed=seed)
        record.cost = {"peak_host_memory_bytes": peak} if peak else {}
        results.write(record)
        trials[seed].id = record.id
    states = {one.id: TrialState.FINISHED for one in trials[:3]}
    forecast = Forecast.of(StudyPlan(tuple(trials), states), results)
    assert forecast.host_bytes == {one.id: 3e9 for one in trials}
    assert forecast.device_bytes == forecast.seconds == {}
    sizes = sorted(path.stat().st_size for path in results.trial_files())
    assert forecast.file_bytes == {one.id: sizes[1] for one in trials}
