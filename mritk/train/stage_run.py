"""One stage of a fine-tuning while it runs: its steps, its learning rate, its epochs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from mritk.batches.augmented import augmented, fault_of
from mritk.batches.mixing import Mixing
from mritk.model.late_buffers import load_state
from mritk.model.network import BACKBONE
from mritk.probe.frozen_features import FrozenFeatures
from mritk.seeds import derive
from mritk.train.average import MovingAverage
from mritk.train.compiled import CompiledNetwork
from mritk.train.divergence import LossWatch
from mritk.train.graphs import GraphedStep, tell_not_recorded
from mritk.train.optimiser import Schedule, build_optimiser, load_optimiser
from mritk.train.progress import Progress
from mritk.train.step import TrainingStep
from mritk.train.trained_tensors import TrainedTensors
from mritk.train.training import Training
from mritk.train.what_trains import counted_blocks

Batch = tuple[torch.Tensor, torch.Tensor]


class StageRun:
    """Stage ``number``, from 0, of a training that has come to ``progress``.

    Attributes:
        name: The stage's name in the history.
        micro_batch: Images that go through the network at once; 0: whole batches.
    """

    def __init__(self, training: Training, number: int, progress: Progress) -> None:
        self.training, self.stage = training, training.recipe.stages[number]
        self.name, self.micro_batch = training.recipe.stage_name(number), progress.micro_batch
        self._network, recipe = training.network, training.recipe
        self._tensors = TrainedTensors(training, number)
        blocks = counted_blocks(training.loaded, self.stage)
        self._optimiser = build_optimiser(
            self._network, self.stage, blocks, capturable=self._graphs_wanted
        )
        steps = training.order.steps(self.stage.epochs)
        self._schedule = Schedule(self._optimiser, self.stage, steps)
        self._average = MovingAverage(self._network, recipe.average) if recipe.average else None
        self._mixing = Mixing(*recipe.mixing)
        self._features = self._frozen_features(progress.changed)
        self._epoch = self._step_number = self._without_progress = 0
        self._watch: LossWatch | None = None
        self._epoch_began = time.perf_counter()
        self._earlier_seconds = 0.0
        self._step = self._make_step()

    def _frozen_features(self, changed: Mapping[str, Sequence[str]]) -> FrozenFeatures | None:
        """Return features to train on, if they are the same in each epoch: else None.

        Nothing of the backbone may train or have changed, and the images must stay as they are.
        """
        training = self.training
        moved = any(name.startswith(BACKBONE) for names in changed.values() for name in names)
        altered = training.setup.augmentation.apply is not None or self._mixing
        if self._tensors.trainable or moved or altered or training.recipe.recalibrate_batch_norm:
            return None
        return FrozenFeatures(training.setup, training.inputs, self._network.head)

    @property
    def over(self) -> bool:
        """True when all epochs are done, or early stopping says so."""
        patience = self.stage.early_stopping
        stopped = patience > 0 and self._without_progress >= patience
        return self._epoch >= self.stage.epochs or stopped

    @property
    def learning_rate(self) -> float:
        """The present rate of the head."""
        return self._schedule.learning_rate

    @property
    def engine(self) -> str:
        """How steps are computed: ``eager``, ``compile``, ``graphs`` or both."""
        forward = self.training.forward
        compiled = isinstance(forward, CompiledNetwork) and forward.active
        recorded = isinstance(self._step, GraphedStep) and self._step.recorded
        return " and ".join(["compile"] * compiled + ["graphs"] * recorded) or "eager"

    @property
    def _graphs_wanted(self) -> bool:
        training = self.training
        if training.inputs.replays and not training.objective.replayable:
            told = "the method's loss does not say that it is replayable"
            tell_not_recorded(told, training.said)
            return False
        return training.inputs.replays

    def _make_step(self) -> TrainingStep | GraphedStep:
        training = self.training
        step = TrainingStep(
            self._network,
            self._features.compute if self._features else training.compute,
            training.objective,
            self._optimiser,
            gradient_clip=training.recipe.gradient_clip,
            micro_batch=self.micro_batch,
        )
        return GraphedStep(step, training.said) if self._graphs_wanted else step

    # -- an epoch ------------------------------------------------------------------------------

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield images and targets of each step that is left of ``epoch``, counted over all stages.

        Images are those of the training part, or features where they suffice.
        """
        if self._tensors.unfreeze(self._epoch):
            self._step = self._make_step()
        self._epoch_began = time.perf_counter()
        rows = self.training.order.batches(epoch)
        if self._watch is None:
            self._watch = self._new_watch(epoch, len(rows))
        left = rows[self._step_number :]
        source = self._features or self.training.train
        return zip(source.batches(left), self._targets_of(left), strict=True)

    def _targets_of(self, batches: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        """Return the targets of each batch, gathered at once: row numbers travel to the device."""
        if not batches:
            return ()
        targets = self.training.objective.targets
        rows = torch.cat(tuple(batches)).to(targets.device, non_blocking=True)
        return targets[rows].split([len(batch) for batch in batches])

    def step(self, images: torch.Tensor, targets: torch.Tensor, epoch: int) -> None:
        """Augment, mix and train on one batch of :meth:`batches`.

        Raises:
            NonFiniteLoss: Training diverged.
            AugmentationFault: The augmentation returns no finite batch of the same kind.
            OutOfMemory: The batch does not fit on the device, and must not be divided.
        """
        training, seed, at = self.training, self.training.setup.seed, self._step_number
        assert self._watch is not None
        dropout = derive(seed, "dropout", epoch, at)
        images = self._augmented(images, epoch, at)
        if self._mixing:
            soft = training.objective.soft(targets)
            images, targets = self._mixing(images, soft, derive(seed, "mixing", epoch, at))
        loss, norm = self._step(images, targets, dropout)
        self.micro_batch = self._step.micro_batch
        self._watch.add(loss, norm, self.learning_rate)
        self._schedule.after_step(ends_epoch=self._watch.count == len(self._watch.values))
        if self._average is not None:
            self._average.update()
        self._step_number += 1

    def _augmented(self, images: torch.Tensor, epoch: int, at: int) -> torch.Tensor:
        """Return the images of a step as the augmentation shows them there."""
        setup = self.training.setup
        if setup.augmentation.apply is None:
            return images
        drawn = derive(setup.seed, "augmentation", epoch, at)
        return augmented(images, setup, drawn, ambient=derive(setup.seed, "dropout", epoch, at))

    def _new_watch(self, epoch: int, steps: int) -> LossWatch:
        training = self.training

        def suspect(step: int) -> None:
            if training.setup.augmentation.apply is None:
                return
            # Drawn again only here: to look at each batch, a GPU would have to be waited for.
            given = training.train.batch(training.order.batches(epoch)[step])
            if given.isfinite().all() and not self._augmented(given, epoch, step).isfinite().all():
                where = f"at step {step + 1} of epoch {epoch}"
                fault = f"returned pixels that are NaN or infinite {where}"
                raise fault_of(training.setup.augmentation, fault)

        return LossWatch(epoch, steps, training.setup.device, suspect)

    def mean_loss(self) -> float:
        """Return the mean loss of the epoch's steps, all of which are made.

        Raises:
            NonFiniteLoss: Training diverged.
            AugmentationFault: Because of the augmentation.
        """
        assert self._watch is not None
        loss, self._watch = self._watch.mean_loss(), None
        return loss

    def averaged(self) -> AbstractContextManager[None]:
        """Let the network hold what is scored and kept: its average, if the recipe has one."""
        return self._average.in_place() if self._average else nullcontext()

    def validation_outputs(self) -> torch.Tensor:
        """Return the network's outputs for the validation part."""
        if self._features:  # they cost no pass of the backbone
            return self._features.validation()
        return self.training.evaluate(self.training.val)

    def epoch_seconds(self) -> float:
        """Return the time since the epoch began, time before a stop included."""
        return self._earlier_seconds + time.perf_counter() - self._epoch_began

    def finish_epoch(self, loss: float, *, better: bool) -> None:
        """Move on to the next epoch; a plateau schedule follows ``loss``."""
        self._schedule.after_epoch(loss)
        self._without_progress = 0 if better else self._without_progress + 1
        self._epoch += 1
        self._step_number, self._earlier_seconds = 0, 0.0

    def end(self) -> list[str]:
        """Leave a plain network behind; return the names of the tensors that changed."""
        if self._average is not None:
            self._average.hand_over()
        return self._tensors.end()

    # -- stop and resume -----------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return what :meth:`resume` takes."""
        watch = self._watch
        return {
            "epoch": self._epoch,
            "step": self._step_number,
            "seconds": self.epoch_seconds() if watch else 0.0,
            "without_progress": self._without_progress,
            "losses": watch.values[: watch.count] if watch else None,
            "changed": sorted(self._tensors.changed()),
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state(),
            "average": self._average.state() if self._average else None,
            "objective": self.training.objective.state(),
        }

    def resume(self, saved: Mapping[str, Any], epoch: int) -> None:
        """Resume from a :meth:`state`, in or before ``epoch``, counted over all stages."""
        self._epoch, self._step_number = saved["epoch"], saved["step"]
        self._without_progress = saved["without_progress"]
        self._earlier_seconds = saved["seconds"]
        load_state(self._network, saved["network"])
        self._tensors.resume(saved["changed"])
        load_optimiser(self._optimiser, saved["optimiser"])
        self._schedule.load(saved["schedule"])
        if self._average is not None:
            self._average.load(saved["average"])
        self.training.objective.load(saved["objective"])
        if saved["losses"] is not None:
            steps = len(self.training.order.batches(epoch))
            self._watch = self._new_watch(epoch, steps)
            self._watch.resume(saved["losses"])
        self._step = self._make_step()
