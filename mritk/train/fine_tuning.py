"""A fine-tuned model: what it predicts, and what is known of it."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import torch

from mritk.batches.views import views_of
from mritk.images.subset import Subset
from mritk.machine.device import repeatable
from mritk.machine.lanes import until_computed
from mritk.model.alike import once
from mritk.model.lora import linear_layers
from mritk.model.network import BACKBONE, HEAD, Network
from mritk.train.cost import network_cost
from mritk.train.progress import Progress
from mritk.train.training import Training


class FineTuning:
    """The network of a training, which may be over or not yet begun, as a fitted model.

    Attributes:
        training: What it was trained with.
        progress: How far it was trained.
    """

    def __init__(self, training: Training, progress: Progress) -> None:
        self.training, self.progress = training, progress
        self._setup, self._recipe = training.setup, training.recipe

    def predict(self, subset: Subset) -> np.ndarray:
        """Return float32 logits (N, classes), or values (N,) in the unit of the target.

        With a recipe for test time they are the mean over the views of each image.
        """
        training, setup = self.training, self._setup
        with repeatable(setup.device, deterministic=setup.deterministic):
            images = training.inputs.resident(subset)
            views = [training.evaluate(view) for view in views_of(images, self._recipe, setup)]
            until_computed()
            return training.objective.scores(torch.stack(views).mean(dim=0))

    def embed(self, subset: Subset) -> np.ndarray:
        """Return the features of the backbone, (N, D) float32, without views of test time."""
        training, setup = self.training, self._setup
        with repeatable(setup.device, deterministic=setup.deterministic):
            images, at_once = training.inputs.resident(subset), training.evaluated_at_once
            return training.inputs.evaluate(self.network.backbone, images, at_once).cpu().numpy()

    @property
    def network(self) -> Network:
        """Normalised batch in, logits or standardised values out."""
        return self.training.network

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(C, *spatial) of one input of the network."""
        return self.training.inputs.shape(self.training.train.images.shape)

    @property
    def output_scaling(self) -> tuple[float, float]:
        """Center and scale of the values of a regression."""
        return self.training.objective.scaling

    @property
    def model_cost(self) -> dict[str, float]:
        """Size of the network, and how much of it was trained."""
        precision = self.training.inputs.precision
        find = partial(network_cost, self.network, self.input_shape, precision=precision)
        one_shape = self.training.inputs.one_shape
        cost = once(("cost", self.training.alike) if one_shape else None, find)
        return cost | {"trained_parameters": float(self._trained_parameters())}

    def _trained_parameters(self) -> int:
        """Return the number of values in the parameters that changed in any stage.

        Of a low-rank update its factors count, rank · (inputs + outputs) of each layer and stage,
        in place of the weights that it was merged into.
        """
        names: set[str] = set()
        factors = 0
        recipe, changed = self._recipe, self.progress.changed
        for stage, tensors in zip(recipe.stages, changed.values(), strict=False):
            if stage.tune != "lora":
                names.update(tensors)
                continue
            names.update(tensor for tensor in tensors if tensor.startswith(HEAD))
            updated = frozenset(t.removeprefix(BACKBONE) for t in tensors if t.startswith(BACKBONE))
            if updated:
                layers = linear_layers(self.network.backbone, updated)
                factors += sum(stage.lora_rank * (x.in_features + x.out_features) for x in layers)
        own = dict(self.network.named_parameters())
        return factors + sum(own[name].numel() for name in names if name in own)

    @property
    def never_selected(self) -> str:
        """Why no epoch had a value to select, or to stop early, by; empty if one had."""
        best, stops = self.progress.best, any(s.early_stopping for s in self._recipe.stages)
        asked = self._setup.selection.on == "val" or stops
        if not asked or not self.progress.epoch or best.epoch:
            return ""
        return best.undefined or "it is NaN"

    @property
    def notes(self) -> dict[str, Any]:
        """Facts for the trial file."""
        training, progress, recipe = self.training, self.progress, self._recipe
        report = training.loaded.report
        selected = progress.best.epoch if self._setup.selection.on == "val" else 0
        at_once = progress.micro_batch or training.batch_size
        speed = progress.images_seen / progress.seconds if progress.seconds else math.nan
        recalibrated = progress.recalibrated
        return {
            "weights": report.as_dict() if report else None,
            "num_features": training.loaded.num_features,
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "input_size": training.inputs.size,
            "precision": training.inputs.precision,
            "engine": progress.engine,
            "micro_batch_size": progress.micro_batch or recipe.batch_size,
            "foreseen_memory_bytes": progress.memory.at(at_once) if progress.memory else None,
            "selected_epoch": selected or progress.epoch,
            **({"never_selected": self.never_selected} if self.never_selected else {}),
            "changed_tensors": progress.changed,
            **({"recalibrated_norms": recalibrated} if recalibrated else {}),
            "images_per_second": speed,
        }
