"""Which rows can be mixed: samples matched by id, folds, kinds of tasks, refusals."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mritk import Segmentation
from mritk.errors import UsageError
from mritk.results.footnotes import footnotes
from mritk.tasks.regression import Regression
from tests.results.mixed_rows import SEEDS, part, row_of, table_of, trials


@pytest.mark.slow
def test_members_are_matched_by_id_and_not_by_order(make_record):
    records = trials(make_record)
    turned = []
    for record in records:
        parts = dict(record.predictions)
        if record.seed == 1:
            order = np.arange(90)[::-1]
            test = parts["test"]
            ids = [test.id[i] for i in order]
            parts["test"] = part("test", test.target[order], test.score[order])
            parts["test"].id, parts["test"].patient = ids, ids
            parts["test"].unit = [f"patient {name}" for name in ids]
        turned.append(replace(record, predictions=parts))
    names = {"strong ×4 seeds", "ensemble of 3 rows", "greedy ensemble"}
    kinds = ("seeds", "backbones", "greedy")
    expected, found = table_of(records, *kinds), table_of(turned, *kinds)
    for name in names:
        for metric, cell in row_of(expected, name).cells.items():
            assert row_of(found, name).cells[metric].mean == pytest.approx(cell.mean, abs=1e-12)


@pytest.mark.slow
def test_folds_are_mixed_where_all_test_the_same_samples(make_record):
    text = json.dumps({"image_size": 32, "split": {"scheme": "official", "repeats": 3}})
    records = [
        replace(record, fold=record.seed % 3, seed=record.seed // 3)
        for record in trials(
            make_record, 6, protocol_json=text, scheme="official", folds=3
        )
    ]  # fmt: skip
    table = table_of(records, "folds")
    row = row_of(table, "strong ×3 folds")
    assert (row.seeds, row.trials) == ((0, 1), 2)
    assert row.cells["balanced_accuracy"].mean > row_of(table, "strong").cells[
        "balanced_accuracy"
    ].mean  # fmt: skip
    pair = next(
        c for c in table.comparisons["balanced_accuracy"]
        if {c.first, c.second} == {"strong ×3 folds", "weak"}
    )  # fmt: skip
    assert pair.tested
    assert pair.runs == 2
    assert not any("different folds" in warning for warning in table.warnings)


@pytest.mark.slow
def test_folds_that_test_different_samples_say_what_it_takes(make_record):
    records = [
        replace(
            record,
            fold=record.seed,
            seed=0,
            predictions={
                "val": record.predictions["val"],
                "test": record.predictions["test"].only(np.arange(90) // 3 % 3 == record.seed),
            },
        )
        for record in trials(make_record, 3, scheme="kfold", folds=3)
    ]
    with pytest.raises(UsageError, match=r"No ensemble of folds: .* official test set"):
        table_of(records, "folds")
    table = table_of(records, "folds", "backbones")
    assert any(note.startswith("No ensemble of folds: ") for note in footnotes(table))
    assert row_of(table, "ensemble of 3 rows").folds == (0, 1, 2)


@pytest.mark.slow
def test_seeds_of_cross_validation_are_mixed_fold_by_fold(make_record):
    records = [
        replace(
            record,
            id=f"{record.id}{fold}",
            fold=fold,
            predictions={
                "val": record.predictions["val"],
                "test": record.predictions["test"].only(np.arange(90) // 3 % 2 == fold),
            },
        )
        for record in trials(make_record, scheme="kfold", folds=2)
        for fold in (0, 1)
    ]
    table = table_of(records, "seeds")
    assert row_of(table, "weak ×4 seeds").folds == (0, 1)
    assert all(pair.tested for pair in table.comparisons["balanced_accuracy"])


@pytest.mark.parametrize(
    ("kind", "names", "seeds", "why"),
    [
        ("seeds", ("strong", "weak"), 1, "no row has two seeds"),
        ("folds", ("strong", "weak"), 1, "no row has two folds"),
        ("backbones", ("strong",), 2, "the table has one row"),
        ("greedy", ("strong",), 2, "the table has one row"),
    ],
)
def test_what_cannot_be_mixed_is_refused_in_one_line(make_record, kind, names, seeds, why):
    with pytest.raises(UsageError) as refused:
        table_of(trials(make_record, seeds, names), kind)
    assert str(refused.value) == f"No ensemble of {kind}: {why}."


def test_rows_tested_on_different_samples_are_not_mixed(make_record):
    records = trials(make_record)
    for record in records[:SEEDS]:
        record.predictions["test"] = record.predictions["test"].only(np.arange(90) > 2)
    with pytest.raises(UsageError, match="their members were tested on different samples"):
        table_of(records, "backbones")


@pytest.mark.slow
def test_validation_samples_that_only_some_rows_have_do_not_count(make_record):
    records = trials(make_record)
    for record in records[:SEEDS]:
        record.predictions["val"] = record.predictions["val"].only(np.arange(60) > 20)
    table = table_of(records, "backbones", "greedy")
    for name in ("ensemble of 3 rows", "greedy ensemble"):
        assert {len(r.predictions["val"].id) for r in table.records[name]} == {39}
    for record in records[:SEEDS]:
        record.predictions["val"] = part("elsewhere", np.arange(60) % 3, np.zeros((60, 3)))
    table = table_of(records, "backbones", "greedy", temperature=True)
    reason = row_of(table, "ensemble of 3 rows").cells["balanced_accuracy"].reason
    assert reason == "there is no validation sample that a temperature can be fitted on"
    assert any("no validation sample that all rows have" in note for note in footnotes(table))


def test_label_maps_are_not_mixed(make_record):
    records = trials(make_record)
    for record in records:
        record.task = Segmentation(("background", "a"))
        for which, found in record.predictions.items():
            columns = record.task.columns
            record.predictions[which] = replace(found, score=found.score[:, :2], cases=columns)
    with pytest.raises(UsageError, match="label maps are not averaged"):
        table_of(records, "seeds", interval="none")


@pytest.mark.slow
def test_a_failed_trial_is_no_member(make_record):
    records = trials(make_record)
    records[1] = make_record(status="failed", id="strong1", backbone="strong", seed=1)
    table = table_of(records, "seeds")
    assert row_of(table, "strong ×3 seeds").failed == 0


class TestValues:
    def records(self, make_record, spread: float | None):
        truth = np.linspace(20, 80, 40)
        found = []
        for seed in range(3):
            draw = np.random.default_rng(seed)
            test = part("test", truth, (truth + draw.normal(0, 5, 40)).astype(np.float32))
            if spread is not None:
                test.spread = np.full(40, spread)
            found.append(
                make_record(
                    id=f"r{seed}", seed=seed, task=Regression("years"), predictions={"test": test}
                )
            )
        return found

    def test_values_are_averaged_and_a_spread_is_that_of_the_mixture(self, make_record):
        records = self.records(make_record, 4.0)
        table = table_of(records, "seeds")
        (mixed,) = table.records["tiny@scratch ×3 seeds"]
        scores = np.asarray([r.predictions["test"].score for r in records], dtype=np.float64)
        test = mixed.predictions["test"]
        assert np.abs(test.score - scores.mean(axis=0)).max() < 1e-12
        expected = np.sqrt((16 + scores**2).mean(axis=0) - scores.mean(axis=0) ** 2)
        assert np.allclose(test.spread, expected, atol=1e-9)
        assert row_of(table, "tiny@scratch ×3 seeds").cells["mae"].mean < row_of(
            table, "tiny@scratch"
        ).cells["mae"].mean  # fmt: skip

    def test_without_a_spread_of_all_members_there_is_none(self, make_record):
        records = self.records(make_record, 4.0)
        records[0].predictions["test"].spread = None
        (mixed,) = table_of(records, "seeds").records["tiny@scratch ×3 seeds"]
        assert mixed.predictions["test"].spread is None


def test_a_trial_of_seed_minus_one_is_compared_as_one_of_any_other_seed(make_record):
    def differences(first: int):
        records = trials(make_record, 3, ("strong", "weak"))
        for record in records:
            record.seed = record.seed or first
        (compared,) = table_of(records).comparisons["balanced_accuracy"]
        return compared.difference, compared.interval, compared.p

    assert differences(-1) == differences(0)


@pytest.mark.parametrize("kind", ["seeds", "backbones"])
def test_two_trials_of_one_seed_are_no_two_members(make_record, kind):
    records = trials(make_record, 2, ("strong", "weak"))
    records[1].seed = 0
    with pytest.raises(UsageError, match="strong has 2 trials of seed 0 and fold 0"):
        table_of(records, kind)
