"""Staged fine-tuning: the training loop.

    load the backbone, put a head on it
    for each stage: decide what trains
        for each epoch: shuffle, augment, normalise, step; then look at the validation part
        go back to the best state so far

Order, augmentation and dropout are functions of (seed, epoch, batch); nothing depends on what was
computed before, on the number of threads' timing, or on the host.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch

from mritk.data.subset import Subset
from mritk.errors import NonFiniteLoss
from mritk.seeds import derive
from mritk.train.backbone import load_backbone
from mritk.train.device import repeatable
from mritk.train.inputs import Inputs
from mritk.train.network import Network, build_head
from mritk.train.objective import Objective
from mritk.train.optimiser import Schedule, build_optimiser
from mritk.train.recipe import Recipe, Stage
from mritk.train.resident import ResidentImages, shuffled
from mritk.train.selection import BestState
from mritk.train.setup import Epoch, Setup
from mritk.train.stages import last, layers_of, norm_tensors, set_trainable


def finetune(setup: Setup) -> FineTuning:
    """Train the setup's backbone by its recipe and return the trained model.

    Raises:
        Unavailable: The backbone's weights are not here.
        WeightsMismatch: They do not fit.
        NonFiniteLoss: Training diverged.
    """
    training = FineTuning(setup)
    with repeatable(setup.device, deterministic=setup.deterministic):
        for stage in training.recipe.stages:
            training.run_stage(stage)
    training.network.eval()
    return training


class FineTuning:
    """One fine-tuning, and then the trained model.

    Attributes:
        network: Normalised batch in, logits or standardised values out.
        notes: What the trial file keeps: match report, resolved precision, per stage the names of
            the tensors that changed, the selected epoch, images per second.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.recipe: Recipe = setup.parameters
        self.inputs = Inputs(setup)
        backbone, size = setup.require_backbone(), self.inputs.size
        self.loaded = load_backbone(backbone, setup.workspace, setup.seed, size)
        with torch.random.fork_rng(devices=()):
            torch.default_generator.manual_seed(derive(setup.seed, "head"))
            head = build_head(self.loaded.num_features, setup.task.outputs, self.recipe.head)
        self.network = self.inputs.place(Network(self.loaded.network, head))
        self.objective = Objective(
            setup.task,
            setup.train.targets,
            setup.device,
            label_smoothing=self.recipe.label_smoothing,
            balanced=self.recipe.class_weights == "balanced",
        )
        self.train = self.inputs.resident(setup.train)
        self.val = self.inputs.resident(setup.val)
        self.best = BestState(setup.selection, setup.task)
        self.epoch, self.seconds, self.images_seen = 0, 0.0, 0
        self._changed: dict[str, list[str]] = {}

    # -- training ------------------------------------------------------------------------------

    def run_stage(self, stage: Stage) -> None:
        """Train one stage and go back to the best state so far."""
        set_trainable(self.loaded.network, self._trainable(stage))
        self.network.head.train()
        self.network.zero_grad(set_to_none=True)
        before = {name: t.detach().clone() for name, t in self.network.state_dict().items()}
        optimiser = build_optimiser(self.network, stage)
        steps = len(shuffled(len(self.train), self.recipe.batch_size, 0, 0))
        schedule = Schedule(optimiser, stage, steps * stage.epochs)
        without_progress = 0
        for _ in range(stage.epochs):
            better = self._run_epoch(stage, optimiser, schedule)
            without_progress = 0 if better else without_progress + 1
            if stage.early_stopping and without_progress >= stage.early_stopping:
                break
        after = self.network.state_dict()
        name = stage.name or f"stage {len(self._changed) + 1}"
        self._changed[name] = [n for n, t in before.items() if not torch.equal(t, after[n])]
        self.best.restore(self.network)

    def _trainable(self, stage: Stage) -> frozenset[str]:
        backbone = self.loaded.network
        units = self.loaded.stages if stage.unit == "stages" else layers_of(backbone)
        tensors = last(units, stage.train_last) - self.loaded.fixed
        return tensors - norm_tensors(backbone) if stage.batch_norm == "frozen" else tensors

    def _run_epoch(
        self, stage: Stage, optimiser: torch.optim.Optimizer, schedule: Schedule
    ) -> bool:
        self.epoch += 1
        started = time.perf_counter()
        train_loss = self._train_epoch(optimiser, schedule)
        self.seconds += time.perf_counter() - started
        outputs = self._outputs(self.val)
        targets = self.objective.prepare(self.setup.val.targets)
        val_loss = float(self.objective.plain_loss(outputs, targets))
        scores = self.objective.scores(outputs)
        value = self.best.measure(val_loss, scores, self.setup.val.targets)
        self._require_finite(train_loss, val_loss, schedule.learning_rate)
        better = self.best.offer(self.epoch, value, self.network)
        self.setup.on_epoch(
            Epoch(
                epoch=self.epoch,
                epochs=sum(stage.epochs for stage in self.recipe.stages),
                stage=stage.name or f"stage {len(self._changed) + 1}",
                learning_rate=schedule.learning_rate,
                train_loss=train_loss,
                val_loss=val_loss,
                selection=value,
                seconds=time.perf_counter() - started,
            )
        )
        schedule.after_epoch(val_loss)
        return better

    def _train_epoch(self, optimiser: torch.optim.Optimizer, schedule: Schedule) -> float:
        seed, epoch = self.setup.seed, self.epoch
        total = torch.zeros((), device=self.setup.device)
        batches = shuffled(len(self.train), self.recipe.batch_size, seed, epoch)
        for number, rows in enumerate(batches):
            torch.manual_seed(derive(seed, "dropout", epoch, number))
            loss = self._loss(rows, derive(seed, "augmentation", epoch, number))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            if self.recipe.gradient_clip:
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_clip)
            optimiser.step()
            schedule.after_step()
            total += loss.detach()
            self.images_seen += len(rows)
        return float(total) / len(batches)  # the epoch's only wait for the device

    def _loss(self, rows: torch.Tensor, seed: int) -> torch.Tensor:
        images = self.train.batch(rows)
        if self.setup.augmentation.apply is not None:
            images = self.setup.augmentation.apply(images, torch.Generator().manual_seed(seed))
        outputs = self.inputs.compute(self.network, images)
        targets = self.objective.targets[rows.to(self.objective.targets.device)]
        return self.objective.loss(outputs, targets)

    def _require_finite(self, train_loss: float, val_loss: float, learning_rate: float) -> None:
        for part, loss in (("training", train_loss), ("validation", val_loss)):
            if not math.isfinite(loss):
                raise NonFiniteLoss(
                    f"the {part} loss is {loss} in epoch {self.epoch} at learning rate "
                    f"{learning_rate:.2g}; lower the rate, or set gradient_clip in the protocol"
                )

    # -- predicting ----------------------------------------------------------------------------

    def predict(self, subset: Subset) -> np.ndarray:
        """Return float32 logits (N, classes), or values (N,) in the unit of the target."""
        with repeatable(self.setup.device, deterministic=self.setup.deterministic):
            return self.objective.scores(self._outputs(self.inputs.resident(subset)))

    def _outputs(self, images: ResidentImages) -> torch.Tensor:
        return self.inputs.evaluate(self.network, images, self.recipe.eval_batch_size)

    @property
    def notes(self) -> dict[str, Any]:
        """Facts for the trial file."""
        report, selects = self.loaded.report, self.setup.selection.on == "val"
        return {
            "weights": report.as_dict() if report else None,
            "num_features": self.loaded.num_features,
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "input_size": self.inputs.size,
            "precision": self.inputs.precision,
            "selected_epoch": (self.best.epoch or self.epoch) if selects else self.epoch,
            "changed_tensors": self._changed,
            "images_per_second": self.images_seen / self.seconds if self.seconds else math.nan,
        }
