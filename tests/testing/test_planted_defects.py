"""Every check finds the defect that is planted for it, and calls nothing else a defect.

The plugins in ``broken/`` provide one record per check, named after the promise that it breaks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from mritk import Augmentation, Explainer
from mritk.testing import (
    augmentation,
    backbone,
    dataset,
    executor,
    explainer,
    method,
    metric,
)
from mritk.testing.check import Defect
from mritk.testing.plugin import inspect_named

BROKEN = Path(__file__).parent / "broken"
KINDS = {
    "backbones": backbone,
    "datasets": dataset,
    "augmentations": augmentation,
    "methods": method,
    "metrics": metric,
    "executors": executor,
    "explainers": explainer,
}

# Defects that by their nature break another promise too.
ALSO = {
    ("augmentations", "is_a_function_of_its_generator"): {"keeps_images_apart"},
    ("backbones", "is_deterministic_in_evaluation"): {"state_dict_comes_back_whole"},
    ("datasets", "reading_twice_gives_the_same"): {"opening_again_reads_the_same"},
    ("methods", "the_seed_decides"): {"never_sees_the_test_part", "resumes_exactly_after_a_stop"},
}


# To check a method is to train it many times; one check of executors waits for a dead worker.
TAKE_LONG = ("methods", "executors")


def planted() -> Iterator[Any]:
    for kind, module in KINDS.items():
        marks = [pytest.mark.slow] if kind in TAKE_LONG else []
        for check in module.CHECKS:
            yield pytest.param(kind, check.__name__, marks=marks)


def name_on_the_command_line(kind: str, name: str) -> str:
    if name == "options_stand_in_the_digests":
        return f"{name},negative=true"
    weights = ("weights_match_in_full", "declares_licence_and_pretraining", "heeds_offline")
    return f"{name}@made" if kind == "backbones" and name in weights else name


@pytest.fixture(scope="module")
def registries():
    from mritk.plugins.registry import Registry

    return {
        kind: Registry.load([str(BROKEN / f"{kind}.py")], {"MRITK_DISABLE_PLUGIN_AUTOLOAD": "1"})
        for kind in KINDS
    }


def failed(registry, name, workspace) -> list[str]:
    verdicts = list(inspect_named(name, registry, workspace))
    assert verdicts
    return [verdict.check.replace(" ", "_") for verdict in verdicts if verdict.state == "failed"]


@pytest.mark.parametrize(("kind", "check"), list(planted()))
def test_a_planted_defect_is_found_by_its_check_alone(kind, check, registries, workspace):
    name = name_on_the_command_line(kind, check)
    found = failed(registries[kind], name, workspace)
    assert set(found) == {check, *ALSO.get((kind, check), ())}


@pytest.mark.parametrize("name", ["counts_its_passes", "drops_by_numpy"])
def test_what_resumed_trainings_lack_may_show_in_training_mode_alone(name, registries, workspace):
    found = failed(registries["backbones"], name, workspace)
    assert found == ["training_changes_only_its_state_dict"]


@pytest.mark.slow
def test_what_is_forgotten_behind_the_epoch_that_is_selected_shows_in_the_history(
    registries, workspace
):
    found = failed(registries["methods"], "its_history_differs", workspace)
    assert found == ["resumes_exactly_after_a_stop"]


@pytest.mark.parametrize(
    "leave",
    [
        lambda network, hook: network[0].register_forward_pre_hook(hook),
        lambda network, hook: network[0].register_forward_hook(hook),
        lambda network, hook: network[0].register_full_backward_pre_hook(hook),
        lambda network, hook: network[0].register_full_backward_hook(hook),
        lambda network, hook: network[0].weight.register_hook(hook),
        lambda network, hook: network[0].weight.register_post_accumulate_grad_hook(hook),
    ],
)
def test_an_explainer_that_leaves_a_hook_of_any_kind_is_told(leave):
    def explain(network, batch, outputs):
        leave(network, lambda *given: None)
        return batch

    under_test = explainer.ExplainerUnderTest(Explainer("hooked", explain))
    with pytest.raises(Defect, match="it changes the network: hooks"):
        explainer.leaves_the_network_as_it_was(under_test)


@pytest.mark.parametrize(
    ("factor", "fails"), [((0.5, 1.7), False), ((1.0, 4.0), True), ((-3.0, 0.0), True)]
)
def test_a_contrast_that_leaves_pixels_between_minus_1_and_2_is_no_defect(factor, fails):
    def contrast(images, generator):
        drawn = torch.rand(len(images), 1, 1, 1, generator=generator)
        return images * (factor[0] + (factor[1] - factor[0]) * drawn)

    under_test = augmentation.AugmentationUnderTest(Augmentation("contrast", contrast))
    with pytest.raises(Defect, match="pixels in") if fails else nullcontext():
        augmentation.values_stay_those_of_pixels(under_test)


NAN = """
from dataclasses import dataclass, replace
from mritk import Augmentation, Dataset, Explainer, Method, Metric, hookimpl
from mritk.testing.tiny import tiny_samples

def of_batch(*given):
    return next(one for one in given if hasattr(one, "new_full")) * float("nan")

def no_number(*given):
    return float("nan")

def opened(workspace):
    samples = tiny_samples()
    return replace(samples, read=lambda i: samples.read(i) * float("nan"))

@dataclass(frozen=True)
class Nothing:
    def predict(self, subset):
        import numpy as np
        return np.full(subset.samples.task.score_shape(len(subset)), np.nan)

def fit(setup):
    return Nothing()

@hookimpl
def mritk_augmentations():
    yield Augmentation("augmentation", of_batch)

@hookimpl
def mritk_datasets():
    yield Dataset("dataset", opened, sources=("us",), license="private")

@hookimpl
def mritk_metrics():
    yield Metric("metric", "metric", True, no_number, bounds=(0, 1))

@hookimpl
def mritk_explainers():
    yield Explainer("explainer", of_batch)

@hookimpl
def mritk_methods():
    yield Method("method", fit, Nothing, uses_backbone=False, uses_augmentation=False)
"""


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("augmentation", "keeps_shape_dtype_and_device"),
        ("dataset", "samples_are_what_is_declared"),
        ("metric", "value_lies_within_its_bounds"),
        ("explainer", "attributions_have_the_shape_of_the_input"),
        ("method", "scores_have_the_shape_of_the_task"),
    ],
)
def test_nan_where_a_number_should_be_is_no_sign_of_other_defects(name, check, tmp_path, workspace):
    from mritk.plugins.registry import Registry

    (tmp_path / "nan.py").write_text(NAN)
    plugins = [str(tmp_path / "nan.py")]
    registry = Registry.load(plugins, {"MRITK_DISABLE_PLUGIN_AUTOLOAD": "1"})
    assert failed(registry, name, workspace) == [check]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_good_one_passes_every_check(kind, registries, workspace):
    name = "good@made" if kind == "backbones" else "good"
    assert failed(registries[kind], name, workspace) == []
