"""A linear probe: features of the frozen backbone once, then a convex fit by scikit-learn."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from mritk import Classification, Setup, Subset, UsageError
from mritk.train.backbone import load_backbone
from mritk.train.device import repeatable
from mritk.train.inputs import Inputs
from mritk.train.objective import Objective
from mritk.train.recipe import Probe
from mritk.train.selection import BestState
from mritk.train.setup import Epoch

# lbfgs stops earlier when it has converged; too few iterations would be a hidden regulariser.
MAX_ITERATIONS = 2000


class FeatureModel:
    """The frozen backbone and a linear model on its standardised features."""

    def __init__(self, setup: Setup) -> None:
        if setup.augmentation.apply is not None:
            raise UsageError(
                f"linear_probe computes features once and cannot use augmentation "
                f"{setup.augmentation.name!r}; use --augmentation none, or the method finetune"
            )
        self.setup = setup
        self.inputs = Inputs(setup)
        backbone, size = setup.require_backbone(), self.inputs.size
        self.loaded = load_backbone(backbone, setup.workspace, setup.seed, size)
        self.network = self.inputs.place(self.loaded.network)
        self.scaler = StandardScaler()
        self.model: Any = None
        self.notes: dict[str, Any] = {}

    def features(self, subset: Subset) -> np.ndarray:
        """Return the features of a part, (N, D) float64."""
        parameters: Probe = self.setup.parameters
        images = self.inputs.resident(subset)
        outputs = self.inputs.evaluate(self.network, images, parameters.eval_batch_size)
        features: np.ndarray = outputs.cpu().numpy().astype(np.float64)
        return features

    def predict(self, subset: Subset) -> np.ndarray:
        """Return float32 logits (N, classes), or values (N,)."""
        with repeatable(self.setup.device, deterministic=self.setup.deterministic):
            return self.scores(self.model, self.scaler.transform(self.features(subset)))

    def scores(self, model: Any, standardised: np.ndarray) -> np.ndarray:
        """Return the scores of one linear model on standardised features."""
        if not isinstance(self.setup.task, Classification):
            values: np.ndarray = model.predict(standardised).astype(np.float32)
            return values
        logits: np.ndarray = model.decision_function(standardised)
        if logits.ndim == 1:  # two classes: scikit-learn gives the difference of their logits
            logits = np.stack([-logits / 2, logits / 2], axis=1)
        return logits.astype(np.float32)


def fit_probe(setup: Setup) -> FeatureModel:
    """Fit one model per penalty on the training part; keep the best on the validation part.

    With the selection rule ``last`` the first penalty is used.
    """
    with repeatable(setup.device, deterministic=setup.deterministic):
        return _fit(setup)


def _fit(setup: Setup) -> FeatureModel:
    probe = FeatureModel(setup)
    started = time.perf_counter()
    train = probe.scaler.fit_transform(probe.features(setup.train))
    feature_seconds = time.perf_counter() - started
    val = probe.scaler.transform(probe.features(setup.val))
    number, penalty = _search(probe, train, val)
    report = probe.loaded.report
    probe.notes = {
        "weights": report.as_dict() if report else None,
        "num_features": probe.loaded.num_features,
        "parameters": sum(p.numel() for p in probe.network.parameters()),
        "input_size": probe.inputs.size,
        "precision": probe.inputs.precision,
        "selected_epoch": number,
        "selected_penalty": penalty,
        "images_per_second": len(setup.train) / feature_seconds,
    }
    return probe


def _search(probe: FeatureModel, train: np.ndarray, val: np.ndarray) -> tuple[int, float]:
    """Fit one model per penalty, leave the best in ``probe``; return its number and penalty.

    Raises:
        UsageError: The selection rule has no value for any of them.
    """
    setup, parameters = probe.setup, probe.setup.parameters
    objective = Objective(setup.task, setup.train.targets, "cpu")
    best = BestState(setup.selection, setup.task)
    penalties = parameters.penalties if setup.selection.on == "val" else parameters.penalties[:1]
    for number, penalty in enumerate(penalties, 1):
        began = time.perf_counter()
        model = _model(setup, penalty).fit(train, setup.train.targets)
        scores = probe.scores(model, val)
        train_loss = _loss(objective, probe.scores(model, train), setup.train.targets)
        val_loss = _loss(objective, scores, setup.val.targets)
        value = best.measure(val_loss, scores, setup.val.targets)
        if best.offer(number, value, torch.nn.Identity()):  # there is no network state to keep
            probe.model = model
        setup.on_epoch(
            Epoch(
                epoch=number,
                epochs=len(penalties),
                stage=f"penalty {penalty:g}",
                learning_rate=0.0,
                train_loss=train_loss,
                val_loss=val_loss,
                selection=value,
                seconds=time.perf_counter() - began,
            )
        )
    if probe.model is None:
        raise UsageError(
            f"the selection rule {setup.selection.by!r} has no value on the validation part for "
            f"any penalty; select by 'loss', or by another metric"
        )
    return best.epoch, penalties[best.epoch - 1]


def _model(setup: Setup, penalty: float) -> Any:
    parameters: Probe = setup.parameters
    if not isinstance(setup.task, Classification):
        return Ridge(alpha=penalty)
    balanced = "balanced" if parameters.class_weights == "balanced" else None
    return LogisticRegression(C=1 / penalty, class_weight=balanced, max_iter=MAX_ITERATIONS)


def _loss(objective: Objective, scores: np.ndarray, targets: np.ndarray) -> float:
    if isinstance(objective.task, Classification):
        outputs = torch.from_numpy(scores)
    else:
        outputs = objective.prepare(scores.astype(np.float64))[:, None]
    return float(objective.plain_loss(outputs, objective.prepare(targets)))
