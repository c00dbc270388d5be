"""Metrics of plugins that are measured on stored label maps: tables, intervals, ties, gate."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mritk import Metric, read_results
from mritk.cli.main import main
from mritk.evaluate.cases import regions_of
from mritk.evaluate.metrics import find_metric
from mritk.evaluate.resamples import Resamples
from mritk.plugins.registry import Registry
from mritk.results.analysis import Analysis
from mritk.store.folder import ResultsFolder
from mritk_segmentation.lesions import lesion_dice
from mritk_segmentation.overlap import iou
from mritk_segmentation.surface import nsd_1mm, nsd_2mm
from tests.test_segmentation import PLUGIN

SPACING = (2.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    plugin = folder / "balls.py"
    plugin.write_text(PLUGIN)
    results = folder / "results"
    for protocol in ("between", "high"):
        asked = ["-d", "balls", "--protocol", protocol, "--seeds", "2", "-o", str(results)]
        assert main(["run", "-p", str(plugin), *asked]) == 0
    return results


def measured(record, measure):
    """Each region of each case of the test part, measured on the stored label maps."""
    test = record.predictions["test"]
    return np.asarray(
        [
            [measure(*one) for one in regions_of(record.task, predicted, true, SPACING)]
            for predicted, true in zip(test.masks, test.references, strict=True)
        ]
    )


@pytest.mark.slow
def test_a_table_has_them_with_intervals_ties_and_a_gate(mritk, trained):
    names = {"iou": iou, "nsd_1mm": nsd_1mm, "lesion_dice[core]": lesion_dice}
    asked = [word for name in names for word in ("--metric", name)]
    ended = mritk("leaderboard", trained, *asked, "--json")
    assert ended.code == 0, ended.err
    (table,) = json.loads(ended.out)["tables"]
    expected: dict[str, dict[str, list[float]]] = {}
    for record in ResultsFolder(trained).trials():
        for name, measure in names.items():
            of_regions = np.nanmean(measured(record, measure), axis=0)
            value = of_regions[1] if "[core]" in name else of_regions.mean()
            expected.setdefault(record.protocol, {}).setdefault(name, []).append(value)
    for row in table["rows"]:
        for name, values in expected[row["protocol"]].items():
            assert row["metrics"][name]["mean"] == pytest.approx(np.mean(values))
        found = row["metrics"]["iou"]
        assert found["interval"]["low"] < found["mean"] < found["interval"]["high"]
    assert [row["protocol"] for row in table["rows"]] == ["between", "high"]
    (pair,) = table["comparisons"]["iou"]
    assert pair["p"] < 0.05
    gate = mritk("compare", trained, trained, "--metric", "nsd_1mm", "--json")
    assert gate.code == 0, gate.err
    assert "nsd_1mm" in gate.out


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("leaderboard", "--level", "patient", "--metric", "lesion_f1"),
        ("leaderboard", "--interval", "bca", "--metric", "iou"),
        ("differences", "--metric", "nsd_1mm[core]"),
        ("differences", "--metric", "iou", "--test", "corrected_t"),
        ("rescore", "--csv"),
    ],
    ids=" ".join,
)
def test_commands_take_them_like_any_metric(mritk, trained, command):
    name, *rest = command
    ended = mritk(name, trained, *rest)
    assert ended.code == 0 or "folds" in ended.err, ended.err


@pytest.mark.slow
def test_undefined_cases_are_counted_by_row(mritk, trained):
    text = mritk("leaderboard", trained, "--metric", "nsd_2mm", "--interval", "none").out
    lost = cases = 0
    for record in ResultsFolder(trained).trials():
        values = measured(record, nsd_2mm)[:, 1]
        lost, cases = lost + int(np.isnan(values).sum()), cases + len(values)
    said = f"NSD 2 mm core is undefined in {lost} of {cases} tested cases, where neither label"
    assert (said in text) == bool(lost)


def test_the_scores_of_a_patient_are_the_mean_of_its_scans(trained):
    (record, *_) = list(ResultsFolder(trained).trials())
    metric = Registry.load(environ={}).metric("lesion_dice")
    of_scans = Analysis().scored(record).scores_for(metric)
    record.predictions["test"].patient = ["a", "b"] * (len(of_scans) // 2)
    of_patients = Analysis(level="patient").scored(record).scores_for(metric)
    expected = [np.nanmean(of_scans[number::2], axis=0) for number in (0, 1)]
    np.testing.assert_allclose(of_patients, expected)


@pytest.mark.slow
def test_frames_have_a_column_for_each_region(trained):
    pytest.importorskip("pandas")
    found = read_results(trained, Registry.load(environ={}).metrics())
    assert {"nsd_1mm", "lesion_f1[core]", "iou[whole]"} <= set(found.trials.columns)


def test_label_maps_that_are_not_stored_are_undefined_and_never_zero(trained):
    (record, *_) = list(ResultsFolder(trained).trials())
    metric = Registry.load(environ={}).metric("iou")
    val = record.predictions["val"]
    assert np.isnan(val.scores_for(metric, record.task)).all()
    value = metric.compute(val.target, val.scores_for(metric, record.task))
    assert "no case has a value" in value.reason


def test_a_metric_of_one_region_weights_cases_like_that_of_all(trained):
    (record, *_) = list(ResultsFolder(trained).trials())
    metric = find_metric("iou[core]", record.task, Registry.load(environ={}).metrics())
    values = np.asarray([[0.5, 0.2], [0.9, np.nan], [0.1, 0.8]])
    samples = Resamples(np.zeros(3), values, np.arange(3), np.asarray([[3.0, 1, 1], [0, 2, 0]]))
    np.testing.assert_allclose(metric.resample(samples), [(3 * 0.2 + 0.8) / 4, np.nan])
    assert metric.compute(np.zeros(3), values).value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "needs a function"),
        ({"measure": max}, "a measure is for task='segmentation'"),
    ],
)
def test_a_metric_that_cannot_be_computed_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Metric("m", "m", True, **fields)
