"""A linear probe: features of the frozen backbone once, then a convex fit for each penalty."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from mritk import DataError, Derived, Setup, Subset, Task, UsageError, kept
from mritk.train import (
    FrozenBackbone,
    Inputs,
    LogisticFit,
    Network,
    Probe,
    choose_penalty,
    fit_logistic,
    fit_ridge,
    load_backbone,
    repeatable,
)

logger = logging.getLogger("mritk")

# Raise this when the models that come out of this module or of mritk.probe.logistic change.
PROBE_VERSION = 3

LATENCIES = ("latency_seconds", "replayed_latency_seconds")


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Scores as a linear function of features.

    Attributes:
        weight: (outputs, D) float64.
        bias: (outputs,) float64.
    """

    weight: np.ndarray
    bias: np.ndarray

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return float32 scores (N, outputs) of features (N, D)."""
        return (features @ self.weight.T + self.bias).astype(np.float32)


class FeatureModel:
    """The frozen backbone and the linear model that was chosen.

    Attributes:
        notes: What the trial file keeps.
    """

    def __init__(
        self, setup: Setup, backbone: FrozenBackbone, model: LinearModel, notes: dict[str, Any]
    ) -> None:
        self._setup, self._backbone, self._model = setup, backbone, model
        self._flops = notes.pop("flops", None)
        self._latencies = {name: notes.pop(name, None) for name in LATENCIES}
        self.notes = notes

    @cached_property
    def network(self) -> Network:
        """The backbone with the linear model as its head; built when it is asked for."""
        setup, inputs = self._setup, Inputs(self._setup)
        loaded = load_backbone(setup.require_backbone(), setup.workspace, setup.seed, inputs.size)
        head = torch.nn.Linear(self._model.weight.shape[1], self._model.weight.shape[0])
        with torch.no_grad():
            head.weight.copy_(torch.tensor(self._model.weight))
            head.bias.copy_(torch.tensor(self._model.bias))
        return inputs.place(Network(loaded.network, torch.nn.Sequential(head))).eval()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(C, *spatial) of one input of the network."""
        inputs = Inputs(self._setup)
        return inputs.shape(self._setup.train.images(inputs.grid, inputs.interpolation).shape)

    @property
    def model_cost(self) -> dict[str, float]:
        """Size of backbone and linear model, as noted when the features were computed.

        So are the speed of prediction, because here the features of test samples are looked up,
        and the latencies, which are those of the backbone alone: the linear model is one product.
        """
        trained = self._model.weight.size + self._model.bias.size
        cost = {
            "parameters": float(self.notes["parameters"] + trained),
            "trained_parameters": float(trained),
            "predict_images_per_second": float(self.notes["images_per_second"]),
        }
        if self._flops:
            cost["flops"] = self._flops + 2.0 * self._model.weight.size
        cost |= {name: float(seconds) for name, seconds in self._latencies.items() if seconds}
        return cost

    def embed(self, subset: Subset) -> np.ndarray:
        """Return the features of the backbone, (N, D)."""
        with repeatable(self._setup.device, deterministic=self._setup.deterministic):
            return self._backbone.features(subset).values

    def predict(self, subset: Subset) -> np.ndarray:
        """Return float32 logits (N, classes), or values (N,)."""
        scores = self._model.scores(self.embed(subset).astype(np.float64))
        return _scores(self._setup, scores)


def fit_probe(setup: Setup) -> FeatureModel:
    """Fit one model per penalty on the training part; keep the best on the validation part.

    With the selection rule ``last`` the first penalty is used.

    Raises:
        UsageError: There is an augmentation, or the selection rule has no value for any penalty.
        DataError: A class has no training sample.
    """
    if setup.augmentation.apply is not None:
        raise UsageError(
            f"linear_probe computes features once and cannot use augmentation "
            f"{setup.augmentation.name!r}; use --augmentation none, or the method finetune"
        )
    with repeatable(setup.device, deterministic=setup.deterministic):
        return _fit(setup)


def _fit(setup: Setup) -> FeatureModel:
    parameters: Probe = setup.parameters
    backbone = FrozenBackbone(setup, batch_size=parameters.eval_batch_size)
    train, val = backbone.features(setup.train), backbone.features(setup.val)
    penalties = parameters.penalties if setup.selection.on == "val" else parameters.penalties[:1]
    began = time.perf_counter()
    fitted = _fitted(setup, train.values, penalties)
    seconds = (time.perf_counter() - began) / len(penalties)
    models = [LinearModel(table[:, :-1], table[:, -1]) for table in np.asarray(fitted.values)]
    number = _choose(setup, models, train.values, val.values, seconds)
    solver = {name: values[number - 1] for name, values in fitted.facts.items()}
    chosen = {"selected_epoch": number, "selected_penalty": penalties[number - 1]}
    return FeatureModel(setup, backbone, models[number - 1], {**train.facts, **chosen, **solver})


def _fitted(setup: Setup, features: np.ndarray, penalties: tuple[float, ...]) -> Derived:
    """Return weights and biases (penalties, outputs, D + 1) of the models, fitted or from before.

    The seeds of a fold share the features of pretrained weights, and thus the solution.
    """
    balanced = setup.parameters.class_weights == "balanced"
    targets = setup.train.targets

    def make() -> tuple[np.ndarray, dict[str, Any]]:
        if not setup.task.classes:
            return _table(*fit_ridge(features, targets, penalties)), {}
        _require_all_classes(setup.task, targets)
        classes, on_device = setup.task.outputs, torch.from_numpy(features).to(setup.device)
        fit = fit_logistic(on_device, targets, classes, penalties, balanced=balanced)
        _warn(fit, penalties)
        solver = {"iterations": list(fit.iterations), "converged": list(fit.converged)}
        return _table(fit.weight, fit.bias), solver

    digests = [hashlib.sha256(a.tobytes()).hexdigest() for a in (features, targets)]
    identity = {
        "kind": "linear probe",
        "version": PROBE_VERSION,
        "task": [setup.task.kind, setup.task.outputs],
        "data": [list(features.shape), *digests],
        "penalties": list(penalties),
        "balanced": balanced,
        "device": torch.device(setup.device).type,
        "torch": torch.__version__,
    }
    return kept(identity, make, setup.workspace)


def _require_all_classes(task: Task, targets: np.ndarray) -> None:
    absent = sorted(set(range(task.outputs)) - set(targets.tolist()))
    if absent:
        raise DataError(
            f"class {task.classes[absent[0]]!r} has no sample in the training set, so logistic "
            "regression has no finite solution; use another split, or the method finetune"
        )


def _table(weight: torch.Tensor, bias: torch.Tensor) -> np.ndarray:
    return torch.cat([weight, bias[:, :, None]], dim=2).cpu().numpy()


def _warn(fit: LogisticFit, penalties: tuple[float, ...]) -> None:
    loose = [penalty for penalty, fine in zip(penalties, fit.converged, strict=True) if not fine]
    if loose:
        logger.warning(
            "logistic regression did not converge for penalty %s after %d steps; its scores are "
            "approximate; remove such weak penalties from the protocol",
            ", ".join(f"{penalty:g}" for penalty in loose),
            max(fit.iterations),
        )


def _choose(
    setup: Setup, models: list[LinearModel], train: np.ndarray, val: np.ndarray, seconds: float
) -> int:
    """Announce each model like an epoch; return the number of the best, from 1.

    Raises:
        UsageError: The selection rule has no value for any of them.
    """
    began = time.perf_counter()
    of_all = [_scores_of_all(models, features) for features in (train, val)]
    seconds += (time.perf_counter() - began) / len(models)
    penalties = setup.parameters.penalties[: len(models)]

    def scores(number: int) -> tuple[np.ndarray, np.ndarray]:
        on_train, on_val = (_scores(setup, found[number]) for found in of_all)
        return on_train, on_val

    return 1 + choose_penalty(setup, penalties, scores, seconds=seconds)


def _scores_of_all(models: list[LinearModel], features: np.ndarray) -> list[np.ndarray]:
    """Return the scores (N, outputs) of each model; one product for all of them."""
    weight = np.concatenate([model.weight for model in models])
    bias = np.concatenate([model.bias for model in models])
    scores = LinearModel(weight, bias).scores(features.astype(np.float64))
    return np.split(scores, len(models), axis=1)


def _scores(setup: Setup, outputs: np.ndarray) -> np.ndarray:
    return outputs.reshape(setup.task.score_shape(len(outputs)))
