"""One stage of a fine-tuning while it runs: what trains, how far it is, what it needs to go on."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from mritk.batches.mixing import Mixing
from mritk.batches.resident import shuffled
from mritk.errors import NonFiniteLoss
from mritk.machine.seeding import seed_draws
from mritk.model.blocks import set_trainable
from mritk.model.lora import add_adapters, merge_adapters, merged_state
from mritk.model.network import BACKBONE
from mritk.probe.frozen_features import FrozenFeatures
from mritk.protocol.recipe import Stage
from mritk.seeds import derive
from mritk.train.average import MovingAverage
from mritk.train.compiled import CompiledNetwork
from mritk.train.divergence import LossWatch
from mritk.train.graphs import GraphedStep
from mritk.train.optimiser import Schedule, build_optimiser, load_optimiser
from mritk.train.step import TrainingStep
from mritk.train.what_trains import counted_blocks, trainable_tensors

if TYPE_CHECKING:
    from mritk.train.loop import FineTuning


class StageRun:
    """A stage of ``training``.

    Attributes:
        name: The stage's name in the history.
        train_loss: Mean loss of the last complete epoch.
    """

    def __init__(self, training: FineTuning, stage: Stage, name: str) -> None:
        self.training, self.stage, self.name = training, stage, name
        self.train_loss = math.nan
        self._network = training.network
        self._units = counted_blocks(training.loaded, stage)
        self._trainable = trainable_tensors(training.loaded, stage)
        self._changed: set[str] = set()
        self._prepare()
        recipe = training.recipe
        self._optimiser = build_optimiser(
            self._network, stage, self._units, capturable=self._graphs_wanted
        )
        steps = len(self._batches(0))
        self._schedule = Schedule(self._optimiser, stage, steps * stage.epochs)
        self._average = MovingAverage(self._network, recipe.average) if recipe.average else None
        self._mixing = Mixing(recipe.mixup, recipe.cutmix)
        self._features = self._frozen_features()
        self._epoch = self._step_number = self._without_progress = self._unfrozen = 0
        self._watch: LossWatch | None = None
        self._epoch_began = time.perf_counter()
        self._earlier_seconds = 0.0
        self._step = self._make_step()
        training.foresee(stage.optimizer, copies=2 + bool(self._average))

    # -- what trains ---------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Let the stage's tensors train and all others rest."""
        training, stage = self.training, self.stage
        backbone = training.loaded.network
        # Of plain tensors, by the names that they have again at the end.
        self._before = {name: t.clone() for name, t in merged_state(self._network).items()}
        set_trainable(backbone, self._trainable)
        if stage.tune == "lora":
            seed = derive(training.setup.seed, "adapters", len(training.changed))
            add_adapters(
                backbone, self._trainable, rank=stage.lora_rank, alpha=stage.lora_alpha, seed=seed
            )
        self._network.head.train()
        self._network.zero_grad(set_to_none=True)

    def _frozen_features(self) -> FrozenFeatures | None:
        """Return features to train on, if they are the same in each epoch: else None.

        Nothing of the backbone may train or have changed, and the images must stay as they are.
        """
        training = self.training
        trained = [
            n for names in training.changed.values() for n in names if n.startswith(BACKBONE)
        ]
        moves = training.setup.augmentation.apply is not None or self._mixing
        if self._trainable or trained or moves or training.recipe.recalibrate_batch_norm:
            return None
        return FrozenFeatures(training.setup, training.inputs, self._network.head)

    def validation_outputs(self) -> torch.Tensor | None:
        """Return the outputs for the validation part if they cost no pass of the backbone."""
        return self._features.validation() if self._features else None

    def _unfreeze(self) -> None:
        """Let one more unit join for each ``unfreeze_every`` epochs that have passed."""
        every, units = self.stage.unfreeze_every, len(self._units)
        if not every or not units:
            return
        most = math.ceil(round(self.stage.train_last * units, 6))
        count = min(self._epoch // every, most)
        if self._unfrozen == count + 1:
            return
        self._unfrozen = count + 1
        now = trainable_tensors(self.training.loaded, self.stage, count / units)
        set_trainable(self.training.loaded.network, now)
        self._network.head.train()
        self._step = self._make_step()

    # -- the epoch -----------------------------------------------------------------------------

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
        setup = self.training.setup
        on_gpu = setup.graphs and setup.device.startswith("cuda")
        return on_gpu and self.stage.optimizer != "sgd"

    def _make_step(self) -> TrainingStep | GraphedStep:
        training = self.training
        step = TrainingStep(
            self._network,
            self._features.compute
            if self._features
            else partial(training.inputs.compute, training.forward),
            training.objective,
            self._optimiser,
            gradient_clip=training.recipe.gradient_clip,
            micro_batch=training.micro_batch,
        )
        return GraphedStep(step) if self._graphs_wanted else step

    def train_epoch(self) -> None:
        """Train for one epoch, or for what is left of it."""
        training = self.training
        self._unfreeze()
        self._epoch_began = time.perf_counter()
        number = training.epoch + 1
        batches = self._batches(number)
        if self._watch is None:
            self._watch = LossWatch(number, len(batches), training.setup.device)
        left = batches[self._step_number :]
        source = self._features or training.train
        for images, targets in zip(source.batches(left), self._targets_of(left), strict=True):
            self._train_batch(images, targets, number)
        self.train_loss = self._watch.mean_loss()
        self._watch = None
        training.seconds += self.epoch_seconds()

    def _batches(self, epoch: int) -> list[torch.Tensor]:
        """Return the row numbers of the batches of an epoch."""
        recipe, seed = self.training.recipe, self.training.setup.seed
        keep = recipe.last_batch == "keep"
        return shuffled(len(self.training.train), recipe.batch_size, seed, epoch, keep_last=keep)

    def _targets_of(self, batches: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        """Return the targets of each batch, gathered at once: row numbers travel to the device."""
        if not batches:
            return ()
        targets = self.training.objective.targets
        rows = torch.cat(tuple(batches)).to(targets.device, non_blocking=True)
        return targets[rows].split([len(batch) for batch in batches])

    def _train_batch(self, images: torch.Tensor, targets: torch.Tensor, epoch: int) -> None:
        training, seed, at = self.training, self.training.setup.seed, self._step_number
        assert self._watch is not None
        dropout = derive(seed, "dropout", epoch, at)
        seed_draws(dropout, images.device)  # for augmentations that use no generator of their own
        if training.setup.augmentation.apply is not None:
            generator = torch.Generator().manual_seed(derive(seed, "augmentation", epoch, at))
            images = training.setup.augmentation.apply(images, generator)
        if self._mixing:
            soft = training.objective.soft(targets)
            images, targets = self._mixing(images, soft, derive(seed, "mixing", epoch, at))
        loss, norm = self._step(images, targets, dropout)
        training.micro_batch = self._step.micro_batch
        self._watch.add(loss, norm, self.learning_rate)
        self._schedule.after_step()
        if self._average is not None:
            self._average.update()
        training.images_seen += len(images)
        self._step_number += 1
        checkpoint = training.setup.checkpoint
        if checkpoint is not None and checkpoint.due:
            training.save(self)

    def averaged(self) -> AbstractContextManager[None]:
        """Let the network hold what is scored and kept: its average, if the recipe has one."""
        return self._average.in_place() if self._average else nullcontext()

    def require_finite(self, val_loss: float) -> None:
        """Refuse a validation loss that is no number.

        Raises:
            NonFiniteLoss: It is NaN or infinite.
        """
        if not math.isfinite(val_loss):
            raise NonFiniteLoss(
                f"the validation loss is {val_loss} in epoch {self.training.epoch + 1} (learning "
                f"rate {self.learning_rate:.2g}); lower the learning rate, or set gradient_clip "
                "in the protocol"
            )

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
        changed = self._changed_so_far()
        merge_adapters(self._network)
        return [name for name in self._network.state_dict() if name in changed]

    def _changed_so_far(self) -> set[str]:
        now = merged_state(self._network)
        return self._changed | {n for n, t in self._before.items() if not torch.equal(t, now[n])}

    # -- stopping and going on -----------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return what :meth:`go_on_from` takes."""
        watch = self._watch
        return {
            "epoch": self._epoch,
            "step": self._step_number,
            "seconds": self.epoch_seconds() if watch else 0.0,
            "without_progress": self._without_progress,
            "losses": watch.values[: watch.count] if watch else None,
            "changed": sorted(self._changed_so_far()),
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state(),
            "average": self._average.state() if self._average else None,
        }

    def go_on_from(self, saved: Mapping[str, Any]) -> None:
        """Take up a stage that stopped after :meth:`state`."""
        self._epoch, self._step_number = saved["epoch"], saved["step"]
        self._without_progress = saved["without_progress"]
        self._earlier_seconds = saved["seconds"]
        self._network.load_state_dict(saved["network"])
        self._before = {name: t.clone() for name, t in merged_state(self._network).items()}
        self._changed = set(saved["changed"])
        load_optimiser(self._optimiser, saved["optimiser"])
        self._schedule.load(saved["schedule"])
        if self._average is not None:
            self._average.load(saved["average"])
        if saved["losses"] is not None:
            number, device = self.training.epoch + 1, self.training.setup.device
            self._watch = LossWatch(number, len(self._batches(number)), device)
            self._watch.go_on_from(saved["losses"])
        self._step = self._make_step()
