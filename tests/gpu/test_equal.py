"""Trainings that must come out the same: bit for bit, or but for rounding.

None of them passes without the thing that it tests: on a CPU there is no graph, and that fails.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from unittest import mock

import pytest
import torch

from mritk import Augmentation
from mritk.batches import resident
from mritk.batches.inputs import Inputs
from mritk.machine.device import repeatable
from mritk.machine.lanes import Lanes
from mritk.plugins.registry import Registry
from mritk.probe.features import FrozenBackbone
from mritk.probe.logistic import fit_logistic
from mritk.protocol.recipe import Probe, Recipe, Stage
from mritk.train import graphs
from mritk.train.checkpoint import Checkpoint
from mritk.train.training import prepare
from tests.gpu.scene import BUSY, float32_as_such, trained

NEVER = 10**9
NOTHING = Augmentation("none", None)
# By SGD: Adam makes a full step of a gradient that is zero but for rounding.
SGD = Stage(1, optimizer="sgd", learning_rate=1e-2)


# -- bit for bit -------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_deterministic_runs_are_equal(scene):
    setup = scene.setup(Stage(2), recipe=BUSY, deterministic=True)
    scene.require_equal(trained(setup).scores, trained(setup).scores)


def test_replayed_steps_are_those_of_the_same_optimiser_one_by_one(on_gpu):
    setup = on_gpu.setup(Stage(3), recipe=BUSY, deterministic=True, graphs=True)
    replayed = trained(setup)
    with mock.patch.object(graphs, "WARM_UP", NEVER):
        one_by_one = trained(setup)
    on_gpu.require_engine(replayed)
    on_gpu.require_engine(one_by_one, engine="eager")
    on_gpu.require_equal(replayed.scores, one_by_one.scores)


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage",
    [
        Stage(3, optimizer="sgd", schedule="plateau", plateau_patience=1),
        Stage(3, optimizer="sgd", unfreeze_every=1),
        Stage(3, unfreeze_every=1, layer_decay=0.7),
    ],
    ids=["plateau", "unfreezing by SGD", "unfreezing"],
)
def test_so_are_those_on_a_plateau_and_of_gradual_unfreezing(on_gpu, stage):
    """Evaluation is replayed in the one, and not in the other."""
    setup = on_gpu.setup(stage, recipe=BUSY, deterministic=True, graphs=True)
    replayed = trained(setup)
    eagerly = mock.patch.object(Inputs, "_output", Inputs.compute)
    with mock.patch.object(graphs, "WARM_UP", NEVER), eagerly:
        one_by_one = trained(setup)
    on_gpu.require_engine(replayed)
    on_gpu.require_engine(one_by_one, engine="eager")
    on_gpu.require_equal(replayed.scores, one_by_one.scores)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["eager", "graphs"])
def test_trainings_side_by_side_are_those_that_run_alone(scene, way):
    """Three seeds in two lanes: a lane takes up a second training while the other one goes on."""
    if way == "graphs" and scene.device == "cpu":
        pytest.skip("there are no graphs on a CPU")
    base = scene.setup(Stage(3), recipe=BUSY, deterministic=True, graphs=way == "graphs")
    setups = [replace(base, seed=seed) for seed in range(3)]
    alone = [trained(setup) for setup in setups]
    tasks = [("", partial(_numbered, setup)) for setup in setups]
    with repeatable(scene.device, deterministic=True):
        beside = dict(Lanes(scene.device, 2).run(iter(tasks)))
    for seed, run in enumerate(alone):
        scene.require_equal(beside[seed].scores, run.scores)
    scene.require_engine(*beside.values(), engine=way)


def _numbered(setup):
    return setup.seed, trained(setup)


class Stop(BaseException):
    """What ends a process passes all handlers of errors."""


def resumes(scene, tmp_path, **engine):
    """Stop a training within an epoch and require that it resumes as if it had not been."""
    setup = scene.setup(Stage(2), recipe=BUSY, deterministic=True, **engine)
    whole, apply = trained(setup), setup.augmentation.apply
    at, seen = scene.steps + max(1, scene.steps // 2), iter(range(NEVER))

    def stop(images, generator):
        if next(seen) == at:
            raise Stop
        return apply(images, generator)

    for augment in (stop, apply):
        checkpoint = Checkpoint(tmp_path / "checkpoint", {}, [], every=0.0)
        augmentation = Augmentation("affine", augment)
        try:
            resumed = trained(replace(setup, checkpoint=checkpoint, augmentation=augmentation))
        except Stop:
            continue
        finally:
            checkpoint.close()
    scene.require_equal(resumed.scores, whole.scores)
    return whole


@pytest.mark.slow
def test_a_training_that_was_stopped_resumes_as_if_it_had_not_been(scene, tmp_path):
    resumes(scene, tmp_path)


def test_so_does_one_by_graphs(on_gpu, tmp_path):
    on_gpu.require_engine(resumes(on_gpu, tmp_path, graphs=True))


def test_batches_sent_while_the_gpu_computes_are_those_that_it_has_already(on_gpu):
    setup = on_gpu.setup(Stage(2), deterministic=True)
    there = trained(setup)
    with mock.patch.object(resident, "MEMORY_SHARE", 0.0):
        sent = trained(setup)
    on_device = [bool(run.fitted.training.train.nbytes) for run in (there, sent)]
    assert on_device == [True, False], "both lay in the same memory"
    on_gpu.require_equal(sent.scores, there.scores)


# -- but for rounding --------------------------------------------------------------------------


@pytest.mark.slow
def test_an_epoch_in_float32_agrees_with_the_same_epoch_on_a_cpu(scene):
    setup = scene.setup(SGD, precision="float32")
    with float32_as_such():
        here = trained(setup)
    scene.require_close(here.scores, trained(replace(setup, device="cpu")).scores, 1e-2)


def test_what_torchs_default_for_float32_on_a_gpu_changes_in_untrained_logits(scene):
    setup = scene.setup(precision="float32")
    default = trained(setup).scores
    with float32_as_such():
        scene.require_close(default, trained(setup).scores, 1e-2)


def test_graphs_round_learning_rates_to_float32_and_change_nothing_else(on_gpu):
    setup = on_gpu.setup(Stage(2, learning_rate=1e-4), deterministic=True, precision="float32")
    with float32_as_such():
        replayed, eager = trained(replace(setup, graphs=True)), trained(setup)
    on_gpu.require_engine(replayed)
    on_gpu.require_close(replayed.scores, eager.scores, 5e-2)


def test_features_of_a_frozen_backbone_agree_with_those_of_a_cpu(scene):
    setup = scene.setup(precision="float32", augmentation=NOTHING)
    with float32_as_such():
        here = FrozenBackbone(setup).features(setup.train).values
    there = FrozenBackbone(replace(setup, device="cpu")).features(setup.train).values
    scene.require_close(here, there, 1e-3)


def test_so_does_the_linear_probe_on_them(scene):
    method = Registry.load(environ={}).method("linear_probe")
    probe = Probe(penalties=(1.0,))
    setup = replace(scene.setup(precision="float32", augmentation=NOTHING), parameters=probe)
    with float32_as_such():
        here = method.fit(setup).predict(setup.val)
    there = method.fit(replace(setup, device="cpu")).predict(setup.val)
    scene.require_close(here, there, 1e-2)


def test_norms_take_bfloat16_if_asked_to_and_outputs_only_round(on_gpu):
    outputs, types = {}, {}
    for precision in ("float32", "bfloat16", "bfloat16_norms"):
        setup = on_gpu.setup(backbone=on_gpu.without_batch_norm, precision=precision)
        training = prepare(setup)
        found = types[precision] = set()
        for module in training.network.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.register_forward_hook(lambda _, given, made, to=found: to.add(made.dtype))
        with float32_as_such():
            outputs[precision] = training.evaluate(training.val).cpu().numpy()
    wanted = {"bfloat16": {torch.float32}, "bfloat16_norms": {torch.bfloat16}}
    on_gpu.require(wanted.items() <= types.items(), f"norms return {types}")
    for precision in wanted:
        on_gpu.require_close(outputs[precision], outputs["float32"], 5e-2)


def test_outputs_with_recalibrated_norms_agree_with_those_of_a_cpu(scene):
    setup = scene.setup(recipe=Recipe(recalibrate_batch_norm=True), precision="float32")
    with float32_as_such():
        here = trained(setup)
    scene.require_close(here.scores, trained(replace(setup, device="cpu")).scores, 1e-2)


def test_a_batch_is_augmented_alike_on_every_device_and_twice_with_the_same_bits(scene):
    """A pixel on a border between two values may fall to either side: means are compared."""
    registry = Registry.load(environ={})
    images = torch.rand(scene.batch, 1, scene.size, scene.size, generator=drawn(0))
    wrong, names = [], [record.name for record in registry.records(Augmentation)]
    for name in names:
        apply = registry.augmentation(name).apply
        if apply is None:
            continue
        with repeatable(scene.device, deterministic=True):
            first, second = (apply(images.to(scene.device), drawn(1)).cpu() for _ in range(2))
        if not torch.equal(first, second):
            wrong.append(f"{name} differs from itself")
        off = float((first - apply(images, drawn(1))).abs().mean())
        if not off <= 1e-3:
            wrong.append(f"{name} is off by {off:.1e} on average")
    scene.require(not wrong, "; ".join(wrong) or f"{len(names)} agree")


def drawn(seed):
    return torch.Generator().manual_seed(seed)


def test_a_logistic_regression_agrees_with_that_of_a_cpu_and_comes_to_an_end(scene):
    """With weak penalties, on features of which most axes hardly vary."""
    generator = drawn(0)
    features = torch.randn(200, 90, generator=generator, dtype=torch.float64)
    features = features * torch.logspace(0, -6, 90, dtype=torch.float64)
    features = features @ torch.randn(90, 90, generator=generator, dtype=torch.float64)
    targets = torch.arange(200) % 4
    penalties = (0.01, 0.1, 1.0, 1000.0)
    here, there = (
        fit_logistic(features.to(device), targets, 4, penalties) for device in (scene.device, "cpu")
    )
    scene.require(all(here.converged), f"{max(here.iterations)} steps")
    losses = [objectives(fit, features, targets, penalties) for fit in (here, there)]
    scene.require_close(*losses, 1e-6)


def objectives(fit, features, targets, penalties):
    logits, weight = fit.logits(features).cpu(), fit.weight.cpu() * features.std(0, correction=0)
    losses = [torch.nn.functional.cross_entropy(own, targets, reduction="sum") for own in logits]
    strength = torch.tensor(penalties, dtype=torch.float64) / 2
    return (torch.stack(losses) + strength * weight.square().sum((1, 2))).numpy()


# -- learning ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_precision_that_is_chosen_for_the_device_learns(scene):
    """Four classes: chance is 0.25."""
    setup = scene.setup(Stage(4))
    run = trained(setup)
    accuracy = float((run.scores.argmax(1) == setup.val.targets).mean())
    precision = run.fitted.notes["precision"]
    scene.require(accuracy > 0.6, f"accuracy {accuracy:.2f} in {precision}")


@pytest.mark.slow
def test_a_frozen_backbone_keeps_every_tensor_and_the_head_learns(scene):
    run = trained(scene.setup(Stage(1, "head", train_last=0.0), recipe=BUSY))
    names = run.fitted.notes["changed_tensors"]["head"]
    moved = [name for name in names if name.startswith("backbone.")]
    good = not moved and names != []
    scene.require(good, f"{len(moved)} of its tensors moved, {len(names)} in all")


# -- the compiler, which takes long, comes last ------------------------------------------------


@pytest.mark.slow
def test_compiled_training_is_close_to_eager(on_gpu):
    setup = on_gpu.setup(SGD, precision="float32")
    with float32_as_such():
        compiled, eager = trained(replace(setup, compile=True)), trained(setup)
        replayed = trained(replace(setup, compile=True, graphs=True))
    on_gpu.require_engine(compiled, engine="compile")
    on_gpu.require_engine(replayed, engine="compile and graphs")
    for run in (compiled, replayed):
        on_gpu.require_close(run.scores, eager.scores, 1e-2)
