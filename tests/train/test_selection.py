"""Which epoch is kept, and when training stops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from mritk import Classification, Regression
from mritk.errors import UnknownName, UsageError
from mritk.method import SelectionRule
from mritk.model.objective import Objective
from mritk.protocol.recipe import Stage
from mritk.train.loop import finetune
from mritk.train.selection import BestState

AB = Classification(("a", "b"))
LAST = SelectionRule(on="last")


@pytest.fixture
def script(monkeypatch):
    """Let validation losses follow a script, whatever the network does."""

    def run(*losses):
        following = iter(losses)
        monkeypatch.setattr(
            Objective, "plain_loss", lambda *_: torch.tensor(next(following), dtype=torch.float64)
        )

    return run


def stage(epochs, **changes):
    return Stage(**{"epochs": epochs, "learning_rate": 1e-2, **changes})


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def assert_differ(one, other):
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_val_goes_back_to_the_epoch_with_the_best_loss_bit_for_bit(record, script):
    script(0.9, 0.5, 0.7, 0.6)
    trained = record(stage(4))
    assert_same(trained.end, trained.states[1])
    assert_differ(trained.end, trained.states[3])
    assert trained.fitted.notes["selected_epoch"] == 2


def test_of_equal_epochs_the_earlier_is_kept_or_on_request_the_later(record, script):
    for ties, epoch in (("earlier", 2), ("later", 4)):
        script(0.9, 0.5, 0.7, 0.5)
        trained = record(stage(4), selection=SelectionRule(ties=ties))
        assert trained.fitted.notes["selected_epoch"] == epoch
        assert_same(trained.end, trained.states[epoch - 1])


def test_last_keeps_the_final_epoch(record, script):
    script(0.9, 0.5, 0.7, 0.6)
    trained = record(stage(4), selection=LAST)
    assert_same(trained.end, trained.states[3])
    assert trained.fitted.notes["selected_epoch"] == 4


@pytest.mark.slow
def test_ties_keep_the_earlier_epoch(record, script):
    script(0.5, 0.5, 0.5)
    trained = record(stage(3))
    assert_same(trained.end, trained.states[0])


def test_the_kept_state_has_its_batch_norm_statistics_and_counters(record, script):
    script(0.1, 0.5, 0.7)
    trained = record(stage(3))
    assert int(trained.end["backbone.1.num_batches_tracked"]) == 5, "40 images in batches of 8"
    assert_same(trained.end, trained.states[0])


def test_each_stage_starts_from_the_best_state_so_far(record, script):
    script(0.3, 0.9, 0.8, 0.7)
    trained = record(stage(2, train_last=0.0), stage(2))
    # Stage 2 never beats epoch 1, so that the end is the state of epoch 1.
    assert_same(trained.end, trained.states[0])
    assert trained.fitted.notes["selected_epoch"] == 1


@pytest.mark.slow
def test_a_stage_that_restarts_selection_trains_on_where_the_former_best_is_out_of_reach(
    record, script
):
    """Two ``fit()`` of Keras: callbacks forget. Its second has 10 epochs, where 3 would be left."""
    losses = [0.3, 0.4, *(0.9 - 0.05 * n for n in range(10))]
    for restart, epochs in ((False, 3), (True, 10)):
        script(*losses)
        second = stage(10, early_stopping=3, restart_selection=restart)
        trained = record(stage(2, train_last=0.0), second)
        assert len(trained.epochs) == 2 + epochs
        assert trained.fitted.notes["selected_epoch"] == (12 if restart else 1)
        assert_same(trained.end, trained.states[11 if restart else 0])


def test_a_stage_that_restarts_selection_begins_at_the_best_state_of_the_former(record, script):
    script(0.3, 0.9, 0.5)
    trained = record(stage(2), stage(1, train_last=0.0, restart_selection=True))
    backbone = [name for name in trained.end if name.startswith("backbone.")]
    assert all(torch.equal(trained.end[name], trained.states[0][name]) for name in backbone)
    assert_same(trained.end, trained.states[2])


def test_with_last_each_stage_goes_on_where_the_earlier_one_ended(record, script, changed):
    script(0.3, 0.9, 0.8)
    trained = record(stage(2), stage(1, train_last=0.0), selection=LAST)
    assert changed(trained.states[1], trained.states[2]) == {"head.0.weight", "head.0.bias"}


@pytest.mark.slow
@pytest.mark.parametrize("on", ["val", "last"])
def test_early_stopping_ends_a_stage_after_so_many_epochs_without_progress(record, script, on):
    script(0.9, 0.5, 0.6, 0.55, 0.4, 0.3)
    trained = record(stage(6, early_stopping=2), selection=SelectionRule(on=on))
    assert [epoch.epoch for epoch in trained.epochs] == [1, 2, 3, 4]
    assert_same(trained.end, trained.states[1 if on == "val" else 3])


@pytest.mark.slow
def test_progress_starts_the_count_again(record, script):
    script(0.9, 0.95, 0.8, 0.85, 0.7, 0.75, 0.6)
    assert len(record(stage(7, early_stopping=2)).epochs) == 7


@pytest.mark.parametrize("ties", ["earlier", "later"])
def test_an_equal_value_is_no_progress_whichever_epoch_is_kept(record, script, ties):
    script(0.9, 0.5, 0.5, 0.5, 0.5)
    trained = record(stage(5, early_stopping=2), selection=SelectionRule(ties=ties))
    assert len(trained.epochs) == 4
    assert trained.fitted.notes["selected_epoch"] == (4 if ties == "later" else 2)


def test_early_stopping_of_one_stage_leaves_the_next_one_its_epochs(record, script):
    script(0.5, 0.6, 0.7, 0.8)
    trained = record(stage(5, early_stopping=1), stage(2))
    assert [epoch.stage for epoch in trained.epochs] == ["stage 1"] * 2 + ["stage 2"] * 2
    assert [epoch.epoch for epoch in trained.epochs] == [1, 2, 3, 4]
    assert {epoch.epochs for epoch in trained.epochs} == {7}


@pytest.mark.slow
def test_without_early_stopping_all_epochs_are_trained(record, script):
    script(*[0.1 * n for n in range(1, 7)])
    assert len(record(stage(6)).epochs) == 6


@pytest.mark.parametrize(
    ("by", "values", "best"),
    [
        ("accuracy", (0.5, 0.9, 0.7), 2),
        ("log_loss", (0.9, 0.4, 0.6), 2),
        ("macro_auroc", (0.3, 0.2, 0.1), 1),
    ],
)
def test_a_metric_is_followed_in_its_own_direction(record, monkeypatch, by, values, best):
    following = iter(values)
    monkeypatch.setattr(BestState, "measure", lambda *_: next(following))
    trained = record(stage(3), selection=SelectionRule(by=by))
    assert trained.fitted.notes["selected_epoch"] == best
    assert [epoch.selection for epoch in trained.epochs] == list(values)
    assert_same(trained.end, trained.states[best - 1])


def test_the_metric_is_measured_on_the_validation_part(record, make_setup):
    trained = record(stage(2), selection=SelectionRule(by="accuracy"))
    scores = trained.fitted.predict(trained.training.setup.val)
    targets = trained.training.setup.val.targets
    accuracy = (scores.argmax(1) == targets).mean()
    best = trained.epochs[trained.fitted.notes["selected_epoch"] - 1]
    assert best.selection == pytest.approx(accuracy)


# -- the rule itself ---------------------------------------------------------------------------


def offers(by, values, task=AB):
    best, network = BestState(SelectionRule(by=by), task), nn.Linear(1, 1)
    return [best.offer(epoch, value, network) for epoch, value in enumerate(values, 1)], best


def test_an_undefined_value_is_never_the_best():
    kept, best = offers("macro_auroc", [math.nan, 0.5, math.nan, 0.6])
    assert kept == [False, True, False, True]
    assert (best.epoch, best.value) == (4, 0.6)


def test_errors_of_a_regression_are_better_when_lower():
    assert offers("mae", [3.0, 2.0, 2.5], Regression())[0] == [True, True, False]
    assert offers("r2", [0.1, 0.2, 0.15], Regression())[0] == [True, True, False]


def test_before_the_first_offer_nothing_is_put_back():
    network = nn.Linear(1, 1)
    before = network.weight.clone()
    BestState(SelectionRule(), AB).restore(network)
    assert torch.equal(network.weight, before)


def test_the_kept_state_is_a_copy():
    best, network = BestState(SelectionRule(), AB), nn.Linear(1, 1)
    best.offer(1, 0.5, network)
    before = network.weight.detach().clone()
    with torch.no_grad():
        network.weight.add_(1)
    best.restore(network)
    assert torch.equal(network.weight, before)


def test_loss_is_the_plain_validation_loss():
    best = BestState(SelectionRule(by="loss"), AB)
    assert best.measure(0.25, np.zeros((2, 2)), np.array([0, 1])) == 0.25


@pytest.mark.parametrize("by", ["accurracy", "mae"])
def test_a_metric_that_the_task_does_not_have_is_refused(by):
    with pytest.raises(UnknownName, match=by):
        BestState(SelectionRule(by=by), AB)


def test_a_metric_without_a_direction_is_refused():
    with pytest.raises(UsageError, match="bias has no direction"):
        BestState(SelectionRule(by="bias"), Regression())


@pytest.mark.parametrize(
    ("on", "patience", "told"),
    [
        ("val", 0, "the last checkpoint was used"),
        ("last", 2, "early stopping was not possible"),
        ("last", 0, ""),
    ],
)
def test_a_rule_that_never_had_a_value_is_told_in_the_log_and_the_notes(
    make_setup, monkeypatch, caplog, on, patience, told
):
    monkeypatch.setattr(Objective, "scores", lambda _, outputs: np.eye(2)[[0] * len(outputs)])
    rule = SelectionRule(on=on, by="mcc")
    trained = finetune(make_setup(stage(2, early_stopping=patience), selection=rule))
    reason = "all targets or all predictions are of one class"
    assert trained.notes["selected_epoch"] == 2
    assert trained.notes.get("never_selected") == (reason if told else None)
    (said,) = [r.message for r in caplog.records if r.levelname == "WARNING"] or [""]
    assert bool(said) == bool(told)
    if told:
        assert (
            said == f"mcc was undefined on the validation set in all 2 epochs ({reason}), so {told}"
        )


def test_the_reason_survives_a_stop():
    best = BestState(SelectionRule(by="mcc"), AB)
    best.measure(0.5, np.eye(2)[[0, 0]], np.array([0, 1]))
    other = BestState(SelectionRule(by="mcc"), AB)
    other.load(best.state())
    assert other.undefined == best.undefined != ""


def test_a_rule_that_was_never_defined_does_not_claim_an_epoch_that_does_not_exist(
    record, monkeypatch
):
    """MCC is undefined as long as one class alone is predicted."""
    monkeypatch.setattr(BestState, "measure", lambda *_: math.nan)
    trained = record(stage(2), selection=SelectionRule(by="mcc"))
    assert trained.fitted.notes["selected_epoch"] == 2, "the state that is really used"


def test_where_selection_restarted_only_the_epochs_since_then_are_said_to_have_no_value(
    make_setup, monkeypatch, caplog
):
    values = iter((0.5, math.nan))
    monkeypatch.setattr(BestState, "measure", lambda *_: next(values))
    stages = stage(1), stage(1, train_last=0.0, restart_selection=True)
    trained = finetune(make_setup(*stages, selection=SelectionRule(by="accuracy")))
    assert trained.notes["selected_epoch"] == 2
    assert "in all epochs since selection restarted (it is NaN), so the last" in caplog.text
