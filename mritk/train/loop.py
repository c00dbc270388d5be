"""Staged fine-tuning: the training loop.

    load the backbone, put a head on it
    for each stage: decide what trains
        for each epoch: shuffle, augment, mix, step; then look at the validation part
        go back to the best state so far

Order, augmentation and dropout are functions of (seed, epoch, batch); nothing depends on what was
computed before, on the number of threads' timing, or on the host. So a training that was stopped
goes on from its checkpoint as if it had not been.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch

from mritk.batches.inputs import Inputs
from mritk.batches.resident import ResidentImages
from mritk.batches.views import View, views_of
from mritk.data.subset import Subset
from mritk.errors import OutOfMemory
from mritk.machine.device import repeatable
from mritk.machine.out_of_memory import ran_out_of_memory
from mritk.method import Epoch, Setup
from mritk.model.backbone import load_backbone
from mritk.model.lora import linear_layers
from mritk.model.network import Network, build_head, penalty
from mritk.model.objective import Objective
from mritk.protocol.recipe import Recipe, Stage
from mritk.seeds import derive
from mritk.train.compiled import CompiledNetwork
from mritk.train.cost import network_cost
from mritk.train.head_start import start_as_probe
from mritk.train.memory import (
    GIB,
    Footprint,
    OptimizerName,
    free_memory,
    predict_footprint,
)
from mritk.train.recalibrate import mixed_batches, recalibrate
from mritk.train.selection import BestState
from mritk.train.stage_run import StageRun
from mritk.train.trained_size import trained_parameters
from mritk.train.what_trains import trainable_tensors

logger = logging.getLogger("mritk")


def finetune(setup: Setup) -> FineTuning:
    """Train the setup's backbone by its recipe and return the trained model.

    Raises:
        Unavailable: The backbone's weights are not here.
        WeightsMismatch: They do not fit.
        NonFiniteLoss: Training diverged.
        OutOfMemory: A batch does not fit on the device, and must not be divided.
    """
    training = FineTuning(setup)
    saved = setup.checkpoint.load() if setup.checkpoint else None
    with repeatable(setup.device, deterministic=setup.deterministic):
        if saved is not None:
            training.go_on_from(saved)
        elif training.recipe.recalibrate_batch_norm:
            training.recalibrate()
        for stage in training.recipe.stages[len(training.changed) :]:
            training.run_stage(stage)
    if training.never_selected:
        logger.warning(
            "%s was undefined on the validation set in all %d epochs (%s), so %s",
            *(setup.selection.by, training.epoch, training.never_selected),
            "the last checkpoint was used"
            if setup.selection.on == "val"
            else "early stopping was not possible",
        )
    training.network.eval()
    return training


class FineTuning:
    """One fine-tuning, and then the trained model.

    Attributes:
        network: Normalised batch in, logits or standardised values out.
        epoch: Number of complete epochs.
        changed: Per complete stage, the names of the tensors that changed in it.
        micro_batch: Images that go through the network at once; 0: whole batches.
        seconds: Time spent in training epochs, without validation.
        images_seen: Number of images that this took.
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
        self.forward = CompiledNetwork(self.network) if setup.compile else self.network
        self.objective = Objective(
            setup.task,
            setup.train.targets,
            setup.device,
            label_smoothing=self.recipe.label_smoothing,
            balanced=self.recipe.class_weights == "balanced",
            weigh_samples=self.recipe.class_weights_per == "sample",
        )
        self.train = self.inputs.resident(setup.train)
        self.val = self.inputs.resident(setup.val)
        self.best = BestState(setup.selection, setup.task)
        self.epoch, self.seconds, self.images_seen, self.micro_batch = 0, 0.0, 0, 0
        self.changed: dict[str, list[str]] = {}
        self._recalibrated = 0
        self._saved_run: Mapping[str, Any] | None = None
        self._engine = "eager"
        self.footprint: Footprint | None = None
        self._require_possible()

    def _require_possible(self) -> None:
        """Refuse now what could only fail after stages of training.

        Raises:
            UsageError: A stage adapts linear layers that are not there, or scores are to be a mean
                over draws of an augmentation, and there is none.
        """
        for stage in self.recipe.stages:
            if stage.tune == "lora":
                linear_layers(self.loaded.network, trainable_tensors(self.loaded, stage))
        views_of(self.val, self.recipe, self.setup)

    # -- training ------------------------------------------------------------------------------

    def recalibrate(self) -> None:
        """Measure the backbone's BatchNorm on the training part, as the network will see it."""
        backbone = self.network.backbone
        compute = partial(self.inputs.compute, backbone)
        rows = mixed_batches(len(self.train), self.recipe.batch_size, self.setup.seed)
        self._recalibrated = recalibrate(backbone, compute, self.train.batches(rows))

    def run_stage(self, stage: Stage) -> None:
        """Train one stage and go back to the best state so far."""
        if self.epoch == 0 and self._saved_run is None and self.recipe.head_start == "probe":
            start_as_probe(self.network.head, self.setup, self.objective)
        name = stage.name or f"stage {len(self.changed) + 1}"
        run = StageRun(self, stage, name)
        if self._saved_run is not None:
            run.go_on_from(self._saved_run)
            self._saved_run = None
        elif stage.restart_selection:
            self.best.restart()
        while not run.over:
            try:
                run.train_epoch()
            except OutOfMemory as error:
                raise OutOfMemory(f"{error}. {self._what_fits()}") from None
            self._finish_epoch(run)
        self.changed[name] = run.end()
        self._engine = run.engine
        self.best.restore(self.network)

    def foresee(self, optimizer: OptimizerName, copies: int) -> None:
        """Predict the memory of a stage that is about to begin; keep the largest prediction."""
        try:
            footprint = predict_footprint(
                self.network,
                partial(self.inputs.compute, self.network),
                self.train.batch(torch.arange(1)),
                optimizer=optimizer,
                data_bytes=self.train.nbytes + self.val.nbytes,
                copies=copies,
            )
        except RuntimeError as error:
            if not ran_out_of_memory(error):
                raise
            # Training may still find parts of a batch that fit, or says what would.
            logger.info("memory cannot be estimated: not enough for the few images required")
            return
        size = min(self.recipe.batch_size, len(self.train))
        logger.info("estimated memory: %s", footprint)
        if self.footprint is None or footprint.at(size) > self.footprint.at(size):
            self.footprint = footprint

    def _what_fits(self) -> str:
        """Say what was foreseen, and how many images at once would fit in the memory at hand."""
        if self.footprint is None:
            return "The batch size that would fit is unknown: memory could not be estimated"
        free = free_memory(self.setup.device)
        if free is None:
            return f"Foreseen: {self.footprint}"
        fitting = self.footprint.largest_batch(free)
        return (
            f"There are {free / GIB:.1f} GiB for this training, estimated to fit "
            f"{f'{fitting} images at once' if fitting else 'not even one image'}"
        )

    def _finish_epoch(self, run: StageRun) -> None:
        """Score the validation part, choose, tell, and keep a checkpoint."""
        with run.averaged():
            outputs = run.validation_outputs()
            outputs = self._outputs(self.val) if outputs is None else outputs
            targets = self.objective.prepare(self.setup.val.targets)
            val_loss = float(self.objective.plain_loss(outputs, targets))
            run.require_finite(val_loss)
            scores = self.objective.scores(outputs)
            value = self.best.measure(val_loss, scores, self.setup.val.targets)
            followed = val_loss
            if run.stage.plateau_loss == "objective":
                loss = float(self.objective.unweighted_loss(outputs, targets))
                followed = loss + penalty(self.network)
            self.epoch += 1
            better = self.best.offer(self.epoch, value, self.network)
        self.setup.on_epoch(
            Epoch(
                epoch=self.epoch,
                epochs=sum(stage.epochs for stage in self.recipe.stages),
                stage=run.name,
                learning_rate=run.learning_rate,
                train_loss=run.train_loss,
                val_loss=val_loss,
                selection=value,
                seconds=run.epoch_seconds(),
            )
        )
        run.finish_epoch(followed, better=better)
        self.save(run)

    @property
    def never_selected(self) -> str:
        """Why no epoch had a value to select, or to stop early, by; empty if one had."""
        stops = any(stage.early_stopping for stage in self.recipe.stages)
        asked = self.setup.selection.on == "val" or stops
        if not asked or not self.epoch or self.best.epoch:
            return ""
        return self.best.undefined or "it is not a number"

    # -- stopping and going on -----------------------------------------------------------------

    def save(self, run: StageRun) -> None:
        """Keep a checkpoint, if the trial has a place for one."""
        if self.setup.checkpoint is None:
            return
        self.setup.checkpoint.save(
            {
                "epoch": self.epoch,
                "seconds": self.seconds,
                "images_seen": self.images_seen,
                "micro_batch": self.micro_batch,
                "changed": self.changed,
                "recalibrated": self._recalibrated,
                "footprint": asdict(self.footprint) if self.footprint else None,
                "best": self.best.state(),
                "run": run.state(),
            }
        )

    def go_on_from(self, saved: Mapping[str, Any]) -> None:
        """Take up a training that stopped after :meth:`save`."""
        for name in ("epoch", "seconds", "images_seen", "micro_batch", "changed"):
            setattr(self, name, saved[name])
        self._recalibrated = saved["recalibrated"]
        self.footprint = Footprint(**saved["footprint"]) if saved["footprint"] else None
        self.best.load(saved["best"])
        self._saved_run = saved["run"]

    # -- predicting ----------------------------------------------------------------------------

    def predict(self, subset: Subset) -> np.ndarray:
        """Return float32 logits (N, classes), or values (N,) in the unit of the target.

        With a recipe for test time they are the mean over the views of each image.
        """
        with repeatable(self.setup.device, deterministic=self.setup.deterministic):
            images = self.inputs.resident(subset)
            views = [self._outputs(view) for view in views_of(images, self.recipe, self.setup)]
            return self.objective.scores(torch.stack(views).mean(dim=0))

    def _outputs(self, images: ResidentImages | View) -> torch.Tensor:
        return self.inputs.evaluate(self.network, images, self.recipe.eval_batch_size)

    def _foreseen(self) -> int | None:
        size = self.micro_batch or min(self.recipe.batch_size, len(self.train))
        return self.footprint.at(size) if self.footprint else None

    # -- the model ---------------------------------------------------------------------------

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(C, *spatial) of one input of the network."""
        spatial = self.train.batch(torch.arange(1)).shape[2:]
        return (self.setup.require_backbone().input.channels, *spatial)

    @property
    def output_scaling(self) -> tuple[float, float]:
        """Center and scale of the values of a regression."""
        return self.objective.scaling

    @property
    def model_cost(self) -> dict[str, float]:
        """Size of the network, and how much of it was trained."""
        precision = self.inputs.precision
        cost = network_cost(self.network, self.input_shape, precision=precision)
        trained = trained_parameters(self.network, self.recipe, self.changed)
        return cost | {"trained_parameters": float(trained)}

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
            "engine": self._engine,
            "micro_batch_size": self.micro_batch or self.recipe.batch_size,
            "foreseen_memory_bytes": self._foreseen(),
            "selected_epoch": (self.best.epoch or self.epoch) if selects else self.epoch,
            **({"never_selected": self.never_selected} if self.never_selected else {}),
            "changed_tensors": self.changed,
            **({"recalibrated_norms": self._recalibrated} if self._recalibrated else {}),
            "images_per_second": self.images_seen / self.seconds if self.seconds else math.nan,
        }
