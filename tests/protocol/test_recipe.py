"""Recipes: what is refused before a trial begins."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mritk.protocol.recipe import Head, HiddenLayer, Probe, Recipe, Stage


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("train_last", -0.1),
        ("train_last", 1.1),
        ("warmup", 1.0),
        ("warmup", -0.1),
        ("learning_rate", 0.0),
        ("learning_rate", -1e-3),
    ],
)
def test_a_stage_refuses_values_without_sense(field, value):
    with pytest.raises(ValueError, match=field):
        Stage(**{"epochs": 1, field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("early_stopping", -1),  # would stop each stage after its first epoch without progress
        ("backbone_learning_rate", -1e-3),
        ("weight_decay", -0.1),
        ("plateau_factor", 1.0),  # torch would refuse it, after the earlier stages were trained
        ("plateau_factor", 0.0),
        ("plateau_patience", -1),
        ("learning_rate", float("nan")),
        ("minimum_learning_rate", -1.0),
        ("step_factor", 1.0),
        ("step_epochs", 0),
        ("plateau_min_delta", -1e-4),
        ("adam_epsilon", 0.0),  # 0 / 0 where a gradient is zero
        ("adam_epsilon", float("inf")),
    ],
)
def test_a_stage_refuses_values_that_would_train_something_else(field, value):
    with pytest.raises(ValueError, match=field):
        Stage(**{"epochs": 1, field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch_size", 0),
        ("eval_batch_size", 0),
        ("label_smoothing", 1.0),
        ("label_smoothing", -0.1),
        ("label_smoothing", float("nan")),
    ],
)
def test_a_recipe_refuses_values_without_sense(field, value):
    with pytest.raises(ValueError, match=r"batch|smoothing"):
        Recipe(**{field: value})


def test_a_head_start_without_a_stage_is_refused():
    with pytest.raises(ValueError, match="use linear_probe to train a probe"):
        Recipe(stages=(), head_start="probe")


def test_a_negative_gradient_clip_is_refused():
    """torch would turn the gradient round, and train uphill."""
    with pytest.raises(ValueError, match="gradient_clip"):
        Recipe(gradient_clip=-1.0)


@pytest.mark.parametrize(
    "make", [lambda: Head(dropout=1.5), lambda: HiddenLayer(0), lambda: HiddenLayer(8, -0.1)]
)
def test_a_head_that_cannot_be_built_is_refused(make):
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch_norm_momentum", 0.0),  # the running statistics would stay at 0 and 1
        ("batch_norm_momentum", 1.1),
        ("batch_norm_epsilon", 0.0),
        ("batch_norm_epsilon", float("nan")),
    ],
)
def test_a_head_refuses_values_without_sense(field, value):
    with pytest.raises(ValueError, match=field):
        Head(**{field: value})


@pytest.mark.parametrize("mixing", ["mixup", "cutmix"])
def test_a_weight_per_sample_is_refused_for_mixed_samples(mixing):
    """They have two true classes."""
    with pytest.raises(ValueError, match="class_weights_per = 'sample'"):
        Recipe(class_weights="balanced", class_weights_per="sample", **{mixing: 0.4})


@pytest.mark.parametrize("penalties", [(), (0.0,), (1.0, -1.0)])
def test_a_probe_wants_penalties_above_zero(penalties):
    with pytest.raises(ValueError, match="penalties"):
        Probe(penalties=penalties)


def test_the_default_is_one_stage_that_trains_everything():
    (stage,) = Recipe().stages
    assert (stage.train_last, stage.batch_norm, stage.schedule) == (1.0, "train", "cosine")


def test_recipes_need_no_torch():
    code = "import sys, mritk.protocol.recipe; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_name_like_that_of_an_unnamed_stage_is_refused():
    """Names tell the stages of a history apart; two of one name could not be."""
    with pytest.raises(ValueError, match="stages must have different names"):
        Recipe((Stage(1, "stage 2"), Stage(1)))
    assert Recipe((Stage(1, "stage 1"), Stage(1))).stage_name(1) == "stage 2"
