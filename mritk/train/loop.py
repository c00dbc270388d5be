"""Staged fine-tuning: the training loop.

Order, augmentation and dropout are functions of (seed, epoch, batch); nothing depends on what was
computed before, on the number of threads' timing, or on the host. So a training that was stopped
resumes from its checkpoint as if it had not been.
"""

from __future__ import annotations

import logging
import math
from functools import partial

import numpy as np
import torch

from mritk.errors import NonFiniteLoss
from mritk.machine.device import repeatable
from mritk.machine.lanes import expect_memory, give_way, until_computed
from mritk.machine.out_of_memory import ran_out_of_memory
from mritk.method import Epoch, Setup
from mritk.model.network import penalty
from mritk.train.fine_tuning import FineTuning
from mritk.train.head_start import start_as_probe
from mritk.train.memory import MemoryEstimate, estimate_memory, explaining_shortage
from mritk.train.progress import Progress
from mritk.train.recalibrate import mixed_batches, recalibrate
from mritk.train.selection import BestState
from mritk.train.stage_run import StageRun
from mritk.train.training import Training, prepare

logger = logging.getLogger("mritk")


def finetune(setup: Setup) -> FineTuning:
    """Train the setup's backbone by its recipe and return the trained model.

    Raises:
        Unavailable: The backbone's weights are missing.
        WeightsMismatch: They do not fit.
        NonFiniteLoss: Training diverged.
        OutOfMemory: A batch does not fit on the device, and cannot be split into micro-batches.
    """
    training = prepare(setup)
    with repeatable(setup.device, deterministic=setup.deterministic):
        return train(training)


def train(training: Training) -> FineTuning:
    """Run all stages of a training, or what is left of them behind its checkpoint."""
    setup, recipe, checkpoint = training.setup, training.recipe, training.setup.checkpoint
    epochs = sum(stage.epochs for stage in recipe.stages)
    progress = Progress(BestState(setup.selection, setup.task))
    saved = checkpoint.load() if checkpoint is not None else None
    interrupted = None
    if saved is not None:
        interrupted = progress.resume(saved)
    else:
        progress.recalibrated = begin(training)

    for number in range(len(progress.changed), len(recipe.stages)):
        stage = StageRun(training, number, progress)
        progress.expect(_estimate(training, stage), training.batch_size)
        if interrupted is not None:
            stage.resume(interrupted, progress.epoch + 1)
            interrupted = None
        elif recipe.stages[number].restart_selection:
            progress.best.restart()

        while not stage.over:
            epoch = progress.epoch + 1
            with explaining_shortage(progress.memory, setup.device):
                for images, targets in stage.batches(epoch):
                    stage.step(images, targets, epoch)
                    progress.images_seen += len(images)
                    progress.micro_batch = stage.micro_batch
                    if checkpoint is not None and checkpoint.due:
                        checkpoint.save(progress.state(stage.state()))
                    give_way(len(images))
                until_computed()
            train_loss = stage.mean_loss()
            progress.seconds += stage.epoch_seconds()

            with stage.averaged():
                val_loss, followed, scores = _validate(training, stage, epoch)
                value = progress.best.measure(val_loss, scores, setup.val.targets)
                better = progress.best.offer(epoch, value, training.network)
            progress.epoch = epoch
            setup.on_epoch(
                Epoch(
                    epoch=epoch,
                    epochs=epochs,
                    stage=stage.name,
                    learning_rate=stage.learning_rate,
                    train_loss=train_loss,
                    val_loss=val_loss,
                    selection=value,
                    seconds=stage.epoch_seconds(),
                    extra=training.objective.epoch_terms(),
                )
            )
            stage.finish_epoch(followed, better=better)
            # A store written for interface 1.0 keeps every epoch.
            if checkpoint is not None and getattr(checkpoint, "worthwhile", True):
                checkpoint.save(progress.state(stage.state()))

        progress.changed[stage.name] = stage.end()
        progress.engine = stage.engine
        progress.best.restore(training.network)

    training.network.eval()
    fitted = FineTuning(training, progress)
    _warn_if_never_selected(fitted)
    return fitted


def begin(training: Training) -> int:
    """Do what the recipe asks for before the first stage.

    Returns:
        How many BatchNorm layers of the backbone were measured on the training part.
    """
    setup, recipe, backbone = training.setup, training.recipe, training.network.backbone
    if recipe.head_start == "probe":
        start_as_probe(training.network.head, setup, training.objective)
    if not recipe.recalibrate_batch_norm:
        return 0
    compute = partial(training.inputs.compute, backbone)
    rows = mixed_batches(len(training.train), recipe.batch_size, setup.seed)
    return recalibrate(backbone, compute, training.train.batches(rows))


def _validate(training: Training, stage: StageRun, epoch: int) -> tuple[float, float, np.ndarray]:
    """Score the validation part after an epoch.

    Returns:
        The loss without smoothing or weights, the loss that a plateau schedule follows, and the
        scores as :meth:`Objective.scores` returns them.

    Raises:
        NonFiniteLoss: Its loss is NaN or infinite.
    """
    objective = training.objective
    outputs = stage.validation_outputs()
    until_computed()
    targets = objective.prepare(training.setup.val.targets)
    followed = loss = float(objective.plain_loss(outputs, targets))
    if not math.isfinite(loss):
        raise NonFiniteLoss(
            f"the validation loss is {loss} in epoch {epoch} (learning rate "
            f"{stage.learning_rate:.2g}); lower the learning rate, or set gradient_clip in the "
            "protocol"
        )
    if stage.stage.plateau_loss == "objective":
        followed = float(objective.unweighted_loss(outputs, targets)) + penalty(training.network)
    return loss, followed, objective.scores(outputs)


def _estimate(training: Training, stage: StageRun) -> MemoryEstimate | None:
    """Estimate the memory of a stage that is about to begin; None if even that takes too much."""
    try:
        estimate = estimate_memory(
            training.network,
            partial(training.inputs.compute, training.network),
            training.train.batch(torch.arange(1)),
            optimizer=stage.stage.optimizer,
            data_bytes=training.train.nbytes + training.val.nbytes,
            copies=2 + bool(training.recipe.average),  # before the stage, best, averaged
            computed=not training.inputs.one_shape,
            like=training.alike if training.inputs.one_shape else None,
        )
    except RuntimeError as error:
        if not ran_out_of_memory(error):
            raise
        # Training may still find parts of a batch that fit, or says what would.
        logger.info("memory cannot be estimated: not enough for the few images required")
        return None
    logger.info("estimated memory: %s", estimate)
    expect_memory(estimate.at(training.batch_size))
    return estimate


def _warn_if_never_selected(fitted: FineTuning) -> None:
    setup, reason = fitted.training.setup, fitted.never_selected
    if reason:
        anew = any(stage.restart_selection for stage in fitted.training.recipe.stages[1:])
        epochs = "epochs since selection restarted" if anew else f"{fitted.progress.epoch} epochs"
        logger.warning(
            "%s was undefined on the validation set in all %s (%s), so %s",
            *(setup.selection.by, epochs, reason),
            "the last checkpoint was used"
            if setup.selection.on == "val"
            else "early stopping was not possible",
        )
