"""Label maps of a one-file plugin: trained, scored, stored, verified, ranked and compared."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mritk import read_results
from mritk.cards.trial_card import trial_card
from mritk.cli.main import main
from mritk.evaluate.cases import case_scores
from mritk.store.checks import checks_of
from mritk.store.folder import ResultsFolder
from mritk.store.label_maps import LabelMaps

PLUGIN = '''
"""Bright balls with a brighter core, and a method that looks for thresholds."""
from dataclasses import dataclass

import numpy as np
from mritk import Dataset, Epoch, Method, ProtocolFile, Samples, Segmentation, hookimpl

TASK = Segmentation(("background", "rim", "core"), {"whole": ("rim", "core"), "core": ("core",)})


def label_map(i):
    rng = np.random.default_rng(i)
    grid = np.stack(np.meshgrid(*map(np.arange, (8, 10, 12)), indexing="ij"), axis=-1)
    distance = np.sqrt(np.square(grid - [4, 5, 6] - rng.uniform(-1, 1, 3)).sum(axis=-1))
    labels = (distance < 3.2).astype(np.uint8) + (distance < 1.7)
    return np.zeros_like(labels) if i == 5 else labels


def read(i):
    noise = np.random.default_rng(1000 + i).normal(0, 12, (8, 10, 12))
    return np.clip(60 + 70 * label_map(i) + noise, 0, 255).astype(np.uint8)


def open_balls(workspace):
    ids = [f"ball-{i:02d}" for i in range(40)]
    return Samples(
        ids, np.empty(0), TASK, read, spatial_dims=3, patients=ids, read_target=label_map,
        spacing=np.tile([2.0, 1.0, 1.0], (40, 1)),
        covariates={"sex": ["f", "m"] * 20, "age": np.arange(40.0)},
        affine=lambda i: np.array([[2.0, 0, 0, i], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    )


@dataclass(frozen=True)
class Parameters:
    shift: float = 0.0


@dataclass
class Thresholds:
    levels: tuple

    notes = {}

    def predict(self, subset):
        volumes = map(subset.read, range(len(subset)))
        return [np.digitize(volume, self.levels).astype(np.uint8) for volume in volumes]

    def embed(self, subset):
        return np.stack([[subset.read(i).mean(), subset.read(i).std()] for i in range(len(subset))])


def fit(setup):
    train = setup.train
    pairs = [(train.read(i), train.samples.read_target(i)) for i in range(len(train))]
    values = [[v[m == label].mean() for label in range(3)] for v, m in pairs if m.any()]
    means = np.mean(values, axis=0)
    setup.on_epoch(Epoch(1, 1, "fit", 0.0, 0.5, 0.5, 0.5, 0.1, extra={"levels": 2}))
    return Thresholds(tuple((means[1:] + means[:-1]) / 2 + setup.parameters.shift))


@hookimpl
def mritk_datasets():
    yield Dataset("balls", open_balls)


@hookimpl
def mritk_methods():
    yield Method("thresholds", fit, Parameters, uses_backbone=False, uses_augmentation=False)


@hookimpl
def mritk_protocols():
    for name, shift in (("between", 0.0), ("high", 30.0)):
        yield ProtocolFile(name, lambda shift=shift: f"""
method = "thresholds"
image_size = "native"
[selection]
by = "dice"
[parameters]
shift = {shift}
""")
'''


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("segmentation")
    plugin = folder / "balls.py"
    plugin.write_text(PLUGIN)
    results = folder / "results"
    for protocol in ("between", "high"):
        asked = ["-d", "balls", "--protocol", protocol, "--seeds", "2", "--keep-embeddings"]
        assert main(["run", "-p", str(plugin), *asked, "-o", str(results)]) == 0
    return results


@pytest.mark.slow
def test_the_scores_of_each_case_are_those_of_its_stored_label_maps(trained):
    for record in ResultsFolder(trained).trials():
        test = record.predictions["test"]
        assert test.cases == ("dice[whole]", "dice[core]", "hd95[whole]", "hd95[core]")
        for row in range(len(test.id)):
            expected = case_scores(
                record.task, test.masks[row], test.references[row], (2.0, 1.0, 1.0)
            )
            np.testing.assert_array_equal(test.score[row], expected)
            place = test.masks.affine_of(row)
            assert place[0, 3] == int(test.id[row].removeprefix("ball-"))
            assert np.array_equal(place, test.references.affine_of(row))
        assert record.predictions["val"].masks is None
        assert record.history[0].extra == {"levels": 2.0}
        assert test.embedding.shape == (len(test.id), 2)
        assert set(test.covariates) == {"sex", "age"}


def test_the_file_of_a_method_without_a_backbone_tells_that_samples_are_volumes(trained):
    record = next(ResultsFolder(trained).trials())
    assert record.volumes
    assert "Method thresholds; volumes of their own size;" in trial_card(record)


@pytest.mark.slow
def test_the_leaderboard_has_dice_of_each_region_with_intervals(mritk, trained):
    ended = mritk("leaderboard", trained, "--json")
    (table,) = json.loads(ended.out)["tables"]
    assert table["task"] == "segmentation"
    best, worst = table["rows"]
    assert (best["protocol"], worst["protocol"]) == ("between", "high")
    dice = best["metrics"]["dice"]
    assert dice["mean"] > 0.8
    assert dice["interval"]["low"] < dice["mean"] < dice["interval"]["high"]
    assert {"dice[whole]", "dice[core]", "hd95", "hd95[whole]"} <= set(best["metrics"])
    (pair,) = table["comparisons"]["dice"]
    assert pair["p"] < 0.05
    text = mritk("leaderboard", trained, "--metric", "dice[core]", "--groups", "age:20").out
    tested = [record.predictions["test"] for record in ResultsFolder(trained).trials()]
    lost = sum(int(np.isnan(test.score[:, 3]).sum()) for test in tested)
    cases = sum(len(test.id) for test in tested)
    counted = f"HD95 (mm) core is undefined in {lost} of {cases} tested cases, where a label map"
    assert (counted in text) == bool(lost)
    assert "Dice core ↑" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("doctor",),
        ("differences",),
        ("report", "-o", "REPORT"),
        ("plot", "forest", "-o", "PLOT"),
        ("rescore",),
        ("leaderboard", "--level", "patient"),
    ],
    ids=lambda command: command[0],
)
def test_commands_that_read_results_read_these(mritk, trained, tmp_path, command):
    paths = {"REPORT": tmp_path / "r.html", "PLOT": tmp_path / "p.png"}
    name, *rest = (paths.get(word, word) for word in command)
    kind = rest[:1] if name == "plot" else []
    ended = mritk(name, *kind, trained, *rest[len(kind) :])
    assert ended.code == 0, ended.err + ended.out


@pytest.mark.slow
def test_a_trial_is_verified_with_its_label_maps(mritk, trained):
    (record, *_) = list(ResultsFolder(trained).trials())
    assert mritk("verify", record.id, "--results", trained).code == 0


def test_a_trial_is_shown_with_the_scores_of_its_patients(mritk, trained):
    (record, *_) = list(ResultsFolder(trained).trials())
    shown = mritk("show", record.id, "--results", trained).out
    lines = dict(line.rsplit(maxsplit=1) for line in shown.splitlines() if "dice" in line)
    (of_scans, of_patients) = (lines[f"{level}.dice[core]"] for level in ("test", "test, patients"))
    assert of_scans == of_patients  # one scan of each patient


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("dice[core]", ""),
        ("dice[rim]", "selects the checkpoint by dice[rim], which is no metric of"),
        ("macro_auroc", "to one of loss, dice, hd95, dice[whole]"),
        ("dize[core]", "did you mean 'dice'?"),
    ],
)
def test_checkpoints_are_selected_by_a_region_that_the_data_have(mritk, tmp_path, by, message):
    plugin = tmp_path / "balls.py"
    plugin.write_text(PLUGIN.replace('by = "dice"', f'by = "{by}"'))
    asked = ("-p", plugin, "-d", "balls", "--protocol", "between", "--dry-run")
    ended = mritk("run", *asked, "-o", tmp_path / "r")
    assert (ended.code == 0) == (message == "")
    assert message in ended.err


@pytest.mark.slow
def test_a_results_folder_compared_to_itself_shows_no_regression(mritk, trained):
    assert mritk("compare", trained, trained).code == 0


def test_frames_have_a_column_for_each_score(trained):
    pytest.importorskip("pandas")
    found = read_results(trained)
    assert {"dice", "hd95", "dice[core]"} <= set(found.trials.columns)
    assert {"dice[whole]", "hd95[core]"} <= set(found.predictions.columns)


def test_scores_that_are_not_those_of_the_label_maps_are_found(trained, tmp_path):
    (record, *_) = list(ResultsFolder(trained).trials())
    record.predictions["test"].score[0, 0] += 0.01
    wrong = [check.wrong for check in checks_of(record, record.id) if check.wrong]
    assert any("are not those of its label maps" in text for text in wrong)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda test: setattr(test, "cases", test.cases[::-1]), "scores of cases are hd95[core]"),
        (lambda test: changed_maps(test, lambda maps: maps * 5), "to 10"),
        (lambda test: changed_maps(test, lambda maps: maps[1:]), "has shape"),
    ],
    ids=["columns in another order", "a value that is no label", "another shape"],
)
def test_label_maps_that_cannot_be_scored_are_a_failed_check(trained, change, wrong):
    (record, *_) = list(ResultsFolder(trained).trials())
    change(record.predictions["test"])
    (found,) = [check.wrong for check in checks_of(record, record.id) if check.wrong]
    assert wrong in found


def changed_maps(test, change):
    test.references = LabelMaps.of([change(maps) for maps in test.references])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("return maps[:-1]", "label maps for"),
        ("return [m[1:] for m in maps]", "has shape (7, 10, 12), its reference (8, 10, 12)"),
        ("return [m * 5 for m in maps]", "must hold the whole numbers 0 to 2"),
    ],
)
def test_other_predictions_than_label_maps_fail_the_trial_in_one_line(
    mritk, tmp_path, wrong, message
):
    plugin = tmp_path / "balls.py"
    text = PLUGIN.replace("return [np.digitize", "maps = [np.digitize")
    text = text.replace("\n    def embed", f"        {wrong}\n\n    def embed")
    plugin.write_text(text)
    ended = mritk("run", "-p", plugin, "-d", "balls", "--protocol", "between", "-o", tmp_path / "r")
    assert ended.code == 3
    assert message in ended.err


def test_a_method_for_labels_of_whole_scans_is_refused_before_anything_is_read(mritk, tmp_path):
    plugin = tmp_path / "balls.py"
    plugin.write_text(
        PLUGIN.replace("Parameters, uses", 'Parameters, tasks=("segmentation",), uses')
    )
    ended = mritk("run", "-p", plugin, "-d", "balls", "-b", "small_cnn", "-o", tmp_path / "r")
    assert ended.code == 2
    assert (
        "balls has label maps of whole, core, but protocol quick trains with finetune, which is "
        "for classification and regression; use --protocol between or --protocol nnunet or "
        "--protocol threshold ("  # and none that leaves a site out, of which the data have none
    ) in ended.err
    assert ended.err.endswith(" in all: 'mritk list protocols')\n")


OVERLAPPING = """
from mritk import Metric, Undefined, hookimpl


def share(targets, scores, weights):
    import numpy as np

    dice = scores[:, : scores.shape[1] // 2]  # of each region; then HD95 of each
    known = ~np.isnan(dice).any(axis=1)
    if not weights[known].sum():
        raise Undefined("no case has all regions")
    return np.average((dice[known] >= 0.8).all(axis=1), weights=weights[known])


@hookimpl
def mritk_metrics():
    yield Metric(
        "overlapping",
        "cases ≥ 0.8",
        True,
        share,
        task="segmentation",
        bounds=(0, 1),
        summary="share of cases in which the Dice of every region is at least 0.8",
    )
"""


@pytest.mark.slow
def test_a_metric_of_a_plugin_is_computed_from_the_scores_of_cases(mritk, trained, tmp_path):
    plugin = tmp_path / "overlapping.py"
    plugin.write_text(OVERLAPPING)
    checked = mritk("plugins", "check", "-p", plugin, "overlapping")
    assert checked.code == 0, checked.out
    asked = ("--metric", "overlapping", "--sort", "dice", "--json")
    ended = mritk("leaderboard", "-p", plugin, trained, *asked)
    assert ended.code == 0, ended.err
    rows = json.loads(ended.out)["tables"][0]["rows"]
    expected: dict = {}
    for record in ResultsFolder(trained).trials():
        dice = record.predictions["test"].score[:, :2]
        known = dice[~np.isnan(dice).any(axis=1)]
        expected.setdefault(record.protocol, []).append((known >= 0.8).all(axis=1).mean())
    for row in rows:
        found = row["metrics"]["overlapping"]
        assert found["mean"] == pytest.approx(np.mean(expected[row["protocol"]]))
        assert {"low", "high", "reason"} <= set(found["interval"])
