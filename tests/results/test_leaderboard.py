"""The leaderboard: numbers from predictions, and all a reader must know of them."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from mritk import Regression
from mritk.errors import StoreError, UnknownName, UsageError
from mritk.results.analysis import Analysis
from mritk.results.footnotes import footnotes
from mritk.results.formats import as_data, caption
from mritk.results.leaderboard import build_leaderboard
from mritk.results.tabular_export import csv_text
from mritk.store.trial_file import Predictions

PERFECT, ONE_WRONG, HALF = (0, 0, 1, 1), (0, 0, 1, 0), (0, 1, 1, 0)


def rows(board, table=0):
    return board.tables[table].rows


def names(board, table=0):
    return [row.keys["backbone"] for row in rows(board, table)]


def notes(board):
    return " ".join(footnotes(board.tables[0]))


def test_numbers_are_those_that_a_hand_computes_from_the_predictions(make_record):
    """Balanced accuracy of one wrong of two is (1 + 1/2) / 2."""
    board = build_leaderboard([make_record(ONE_WRONG, seed=0), make_record(PERFECT, seed=1)])
    (row,) = rows(board)
    cell = row.cells["balanced_accuracy"]
    assert cell.values == (0.75, 1.0)
    assert cell.mean == 0.875
    assert cell.spread == pytest.approx(0.25 / math.sqrt(2))
    assert (row.trials, row.seeds, row.failed) == (2, (0, 1), 0)


def test_numbers_kept_elsewhere_in_the_file_are_not_looked_at(make_record):
    record = make_record(HALF, notes={"balanced_accuracy": 1.0}, cost={"accuracy": 1.0})
    assert rows(build_leaderboard([record]))[0].cells["accuracy"].mean == 0.5


def test_the_test_part_is_scored_not_the_validation_part(make_record):
    record = make_record(HALF)
    assert rows(build_leaderboard([record]))[0].cells["accuracy"].mean == 0.5
    assert len(record.predictions["val"].id) == 2


def test_the_best_row_comes_first(make_record):
    records = [
        make_record(ONE_WRONG, backbone="b"),
        make_record(HALF, backbone="a"),
        make_record(PERFECT, backbone="c"),
    ]
    assert names(build_leaderboard(records)) == ["c", "b", "a"]


def test_rows_are_sorted_by_the_first_metric_in_its_direction(make_record):
    """Row ``sure`` has the better log loss, row ``right`` the better accuracy."""
    sure, right = make_record(ONE_WRONG, backbone="sure"), make_record(PERFECT, backbone="right")
    sure.predictions["test"].score[:] = [[9, 0], [9, 0], [0, 9], [0.1, 0]]
    right.predictions["test"].score[:] = [[0.1, 0], [0.1, 0], [0, 0.1], [0, 0.1]]
    by_loss = build_leaderboard([right, sure], metrics=["log_loss", "accuracy"])
    assert names(by_loss) == ["sure", "right"]
    assert [m.name for m in by_loss.tables[0].metrics] == ["log_loss", "accuracy"]
    by_accuracy = build_leaderboard([sure, right], metrics=["accuracy", "log_loss"])
    assert names(by_accuracy) == ["right", "sure"]


def test_equal_rows_are_sorted_by_name(make_record):
    records = [make_record(backbone=name) for name in ("c", "a", "b")]
    assert names(build_leaderboard(records)) == ["a", "b", "c"]


def test_an_undefined_value_is_nan_comes_last_and_the_note_says_why(make_record):
    records = [make_record((0, 0, 0, 0), backbone="a"), make_record(HALF, backbone="b")]
    board = build_leaderboard(records, metrics=["mcc"])
    assert names(board) == ["b", "a"]
    assert math.isnan(rows(board)[1].cells["mcc"].mean)
    assert "nan: all targets or all predictions are of one class." in notes(board)


def test_regressions_are_sorted_by_their_error(make_record):
    def regression(offset, **keys):
        target = np.array([1.0, 2.0])
        values = Predictions(["a", "b"], ["p", "q"], ["", ""], ["", ""], target, target + offset)
        return make_record(task=Regression("years"), predictions={"test": values}, **keys)

    records = [regression(2, backbone="far"), regression(1, backbone="near")]
    board = build_leaderboard(records)
    assert names(board) == ["near", "far"]
    assert rows(board)[0].cells["mae"].mean == 1
    with pytest.raises(UsageError, match=r"bias has no direction.*name another metric first"):
        build_leaderboard(records, metrics=["bias", "mae"])
    scaled = build_leaderboard(records, analysis=Analysis(temperature=True))
    assert "Temperature" not in notes(scaled), "it is fitted to the probabilities of classes"


@pytest.mark.parametrize(
    "other",
    [
        {"dataset": "x"},
        {"dataset_fingerprint": "x"},
        {"scheme": "x"},
        {"protocol_json": '{"split":{"seed":1}}'},
        {"protocol_json": '{"preprocessing":{"equalise":true}}'},
        {"protocol_json": '{"unknown to this mritk":1}'},
    ],
    ids=str,
)
def test_trials_of_another_evaluation_are_never_ranked_together(make_record, other):
    board = build_leaderboard([make_record(backbone="a"), make_record(backbone="b", **other)])
    assert sorted(names(board, table)[0] for table in range(2)) == ["a", "b"]


def test_two_tables_of_one_dataset_whose_content_differs_can_be_told_apart(make_record):
    board = build_leaderboard([make_record(), make_record(dataset_fingerprint="e" * 64)])
    captions = {caption(table) for table in board.tables}
    assert len(captions) == 2


def test_data_under_two_names_are_told(make_record):
    made = [make_record(backbone="a"), make_record(backbone="b", dataset="bands-moved")]
    (line,) = build_leaderboard(made).drift
    assert line.startswith("bands, bands-moved: the same data under 2 names, which are not ranked")
    made[1].dataset_fingerprint = "e" * 64
    assert build_leaderboard(made).drift == []


def test_trials_with_other_test_samples_are_never_averaged_without_a_word(make_record):
    """Whatever made them differ: the stored ids say that the conditions were not the same."""
    other = make_record(seed=1, splits={"train": ["s0"], "val": ["s4"], "test": ["s7", "s8"]})
    other.predictions["test"].id = ["s7", "s8", "s9", "s10"]
    board = build_leaderboard([make_record(seed=0), other])
    assert len(board.tables) == 2 or board.drift or "test samples" in notes(board)


def test_fields_in_which_protocols_differ_are_named(make_record):
    other = make_record(
        fingerprint="0" * 64, protocol_json='{"image_size":64,"parameters":{"batch_size":16}}'
    )
    board = build_leaderboard([make_record(), other])
    names = sorted(row.name for row in rows(board))
    assert names == ["tiny@scratch, fast (00000000)", "tiny@scratch, fast (ffffffff)"]
    (line,) = board.drift
    assert "00000000 and ffffffff differ in image_size: 64 | 32" in line
    assert "batch_size" not in line


def test_one_protocol_has_no_drift(make_record):
    assert build_leaderboard([make_record(seed=0), make_record(seed=1)]).drift == []


def test_the_augmentation_makes_a_row_of_its_own(make_record):
    board = build_leaderboard([make_record(), make_record(augmentation="affine")])
    assert [row.keys["augmentation"] for row in rows(board)] == ["affine", "none"]


@pytest.mark.parametrize(
    ("by", "values"),
    [
        ("seed", [0, 1]),
        ("fold", [0, 1]),
        ("backbone", ["a", "b"]),
        ("augmentation", ["none", "affine"]),
    ],
)
def test_group_by_makes_a_table_of_each_value(make_record, by, values):
    records = [make_record(**{by: value}) for value in values]
    board = build_leaderboard(records, group_by=[by])
    assert sorted(map(str, (table.keys[by] for table in board.tables))) == sorted(map(str, values))
    assert f"{by} {values[0]}" in " ".join(caption(table) for table in board.tables)


def test_a_grouping_or_metric_that_does_not_exist_is_an_error(make_record):
    with pytest.raises(UsageError, match="cannot group by 'colour'; available: dataset, "):
        build_leaderboard([make_record()], group_by=["colour"])
    with pytest.raises(UnknownName, match="unknown metric 'acuracy'; did you mean accuracy"):
        build_leaderboard([make_record()], metrics=["acuracy"])


def test_a_metric_of_another_task_is_refused_with_what_fits_the_data(make_record):
    records = [make_record()]
    with pytest.raises(UsageError) as refused:
        build_leaderboard(records, metrics=["mae"])
    assert str(refused.value).startswith(
        "mae is no metric of classification, the task of bands; use one of "
    )
    assert " mcc, " in str(refused.value)
    assert "or select other data with --dataset" in str(refused.value)
    with pytest.raises(UsageError, match=r"^mae and rmse are no metrics of classification"):
        build_leaderboard(records, metrics=["mae", "rmse"])
    with pytest.raises(UsageError, match=r"^mae is no metric of classification"):
        build_leaderboard(records, metrics=["mcc"], sort="mae")


def test_failed_trials_are_counted_and_not_averaged(make_record):
    board = build_leaderboard([make_record(ONE_WRONG), make_record(status="failed", seed=1)])
    (row,) = rows(board)
    assert (row.trials, row.failed) == (1, 1)
    assert row.cells["accuracy"].values == (0.75,)
    assert "1 failed trial excluded: tiny@scratch." in notes(board)


def test_predictions_of_a_trial_that_failed_afterwards_do_not_count(make_record):
    failed = make_record(status="failed", seed=1)
    failed.predictions = make_record(HALF).predictions
    (row,) = rows(build_leaderboard([make_record(PERFECT), failed]))
    assert row.cells["accuracy"].values == (1.0,)
    assert (row.trials, row.failed) == (1, 1)


def test_a_row_of_failed_trials_only_stands_last_without_numbers(make_record):
    failed = make_record(status="failed", backbone="a")
    board = build_leaderboard([failed, make_record(HALF, backbone="b")])
    assert names(board) == ["b", "a"]
    assert rows(board)[1].cells["accuracy"].values == ()


def test_a_table_of_failed_trials_does_not_claim_that_there_are_no_patients_or_samples(make_record):
    board = build_leaderboard([make_record(status="failed", grouped=True)])
    assert "Image-level" not in notes(board)
    assert caption(board.tables[0]).endswith(" · hold-out split")
    assert as_data(board)["tables"][0]["test_samples"] is None
    assert next(csv.DictReader(csv_text(board).splitlines()))["test_samples"] == ""


def test_a_single_trial_is_said_to_have_no_spread(make_record):
    board = build_leaderboard([make_record()])
    assert math.isnan(rows(board)[0].cells["accuracy"].spread)
    assert "One run (seed) per row" in notes(board)
    several = build_leaderboard([make_record(seed=0), make_record(seed=1)])
    assert "One run (seed) per row" not in notes(several)
    assert not math.isnan(rows(several)[0].cells["accuracy"].spread)


def test_rows_of_different_numbers_of_trials_are_pointed_out(make_record):
    board = build_leaderboard(
        [make_record(backbone="a"), make_record(backbone="a", seed=1), make_record(backbone="b")]
    )
    assert "Rows have different numbers of trials." in notes(board)


@pytest.mark.parametrize(("seeds", "differ"), [((0, 1), False), ((0, 2), True), ((0,), True)])
def test_a_difference_over_common_seeds_is_told_from_that_of_the_means(make_record, seeds, differ):
    records = [make_record(id=f"a{seed}", backbone="a", seed=seed) for seed in (0, 1)]
    records += [make_record(id=f"b{seed}", backbone="b", seed=seed) for seed in seeds]
    board = build_leaderboard(records)
    assert ("over the seeds that both rows have" in notes(board)) == differ


def test_rows_of_different_folds_are_pointed_out(make_record):
    """Row a was tested on other patients than row b; their difference means nothing."""
    records = [make_record(backbone="a", fold=0), make_record(backbone="b", fold=1)]
    assert "different" in notes(build_leaderboard(records))


def test_two_trials_of_one_seed_and_fold_are_not_taken_for_two_seeds(make_record):
    """``resnet18@file:w.pt`` is the name of two backbones when the file has changed."""
    records = [
        make_record(PERFECT, id="one", backbone="resnet18@file:w.pt"),
        make_record(HALF, id="two", backbone="resnet18@file:w.pt"),
    ]
    board = build_leaderboard(records)
    means = [row.cells["accuracy"].mean for row in rows(board)]
    assert means != [0.75] or "same seed" in notes(board)


def test_data_without_patients_are_called_image_level(make_record):
    board = build_leaderboard([make_record(patients=False)])
    assert board.tables[0].patients == 0
    assert "Image-level" in notes(board)
    assert "Image-level" not in notes(build_leaderboard([make_record()]))


def test_test_samples_and_patients_are_counted(make_record):
    (table,) = build_leaderboard([make_record()]).tables
    assert (table.test_samples, table.patients) == (4, 2)


def test_skipped_samples_are_mentioned(make_record):
    assert "2 unreadable samples were skipped" in notes(
        build_leaderboard([make_record(skipped=["x", "y"])])
    )


def test_damaged_files_are_named_and_the_rest_is_ranked(make_record):
    board = build_leaderboard([StoreError("x.h5 is damaged"), make_record()])
    assert board.damaged == ["x.h5 is damaged"]
    assert len(rows(board)) == 1


def test_nothing_makes_an_empty_leaderboard():
    assert build_leaderboard([]).tables == []


def test_a_table_of_one_run_per_row_has_no_letters_and_says_why(make_record):
    records = [make_record(PERFECT, backbone="a"), make_record(HALF, backbone="b")]
    board = build_leaderboard(records)
    assert {row.tie for row in rows(board)} == {""}
    assert "intervals are of these trained networks" in notes(board)
    assert "Folds share" not in notes(board)
    given = build_leaderboard(records, analysis=Analysis(given_these_models=True))
    assert "Given these models" in notes(given)


def test_a_temperature_is_not_fitted_on_the_test_part(make_record):
    on_test = make_record(
        ONE_WRONG,
        protocol_json='{"split":{"validation":"test"},"selection":{"on":"val"}}',
    )
    board = build_leaderboard([on_test], analysis=Analysis(temperature=True))
    assert "nan: the validation set is the test set" in notes(board)


def test_a_temperature_of_a_validation_part_that_is_all_right_is_refused(make_record):
    board = build_leaderboard([make_record()], analysis=Analysis(temperature=True))
    assert "determines no temperature" in notes(board)


def test_a_table_of_rehearsed_trials_says_that_its_scores_mean_nothing(make_record):
    usual = make_record()
    small = make_record(protocol_json='{"rehearsal": true}')
    assert "scores are meaningless" in notes(build_leaderboard([small]))
    assert "meaningless" not in notes(build_leaderboard([usual]))
