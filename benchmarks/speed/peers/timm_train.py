"""Train with timm as its ``train.py`` does with its default settings.

timm's distribution does not hold its script ``train.py``, so this is a shorter one on timm's public
interface with that script's defaults: ``create_dataset``; ``create_loader`` with prefetcher, random
resized crop from 8 % of the area, horizontal flip, colour jitter 0.4, random interpolation;
``create_optimizer_v2``, a cosine schedule with warm-up, label smoothing 0.1; after each epoch a
validation with top-1 and top-5 accuracy, a line in ``summary.csv`` and a checkpoint by
``CheckpointSaver``. Chosen, not default, are optimiser, network, batch, size and epochs.

The last line of output tells the numbers of steps and images.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from timm import create_model
from timm.data import create_dataset, create_loader, resolve_data_config
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import AverageMeter, CheckpointSaver, accuracy, random_seed, update_summary
from torch import nn


def loader(options: argparse.Namespace, model: nn.Module, *, training: bool) -> Any:
    """Return the loader of training or validation."""
    split = "train" if training else "validation"
    dataset = create_dataset(
        "", root=str(options.data), split=split, is_training=training, batch_size=options.batch
    )
    config = resolve_data_config({"img_size": options.size}, model=model)
    shared = {
        "input_size": config["input_size"],
        "batch_size": options.batch,
        "mean": config["mean"],
        "std": config["std"],
        "num_workers": options.workers,
        "persistent_workers": options.workers > 0,
        "device": torch.device(options.device),
    }
    if training:
        return create_loader(
            dataset,
            is_training=True,
            scale=(0.08, 1.0),
            ratio=(3 / 4, 4 / 3),
            hflip=0.5,
            color_jitter=0.4,
            interpolation="random",
            **shared,
        )
    return create_loader(
        dataset, interpolation=config["interpolation"], crop_pct=config["crop_pct"], **shared
    )


class Training:
    """A model, what it is trained with, and how many steps and images there were."""

    def __init__(self, options: argparse.Namespace) -> None:
        random_seed(42, 0)
        self.options = options
        self.model: nn.Module = create_model(options.model, pretrained=False, num_classes=4)
        self.model.to(options.device)
        if options.channels_last:
            self.model.to(memory_format=torch.channels_last)
        self.optimiser = create_optimizer_v2(
            self.model, opt="adamw", lr=1e-3, weight_decay=2e-5, momentum=0.9
        )
        self.train_loader = loader(options, self.model, training=True)
        self.val_loader = loader(options, self.model, training=False)
        self.train_loss = LabelSmoothingCrossEntropy(smoothing=0.1).to(options.device)
        self.schedule, _ = create_scheduler_v2(
            self.optimiser,
            sched="cosine",
            num_epochs=options.epochs,
            warmup_lr=1e-5,
            warmup_epochs=5,
            min_lr=0.0,
            updates_per_epoch=len(self.train_loader),
        )
        self.steps, self.trained, self.validated = 0, 0, 0

    def outputs(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        if self.options.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        kind = torch.device(self.options.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=self.options.amp):
            return self.model(images)

    def train_epoch(self) -> dict[str, float]:
        """Train for one epoch."""
        losses = AverageMeter()
        self.model.train()
        for images, targets in self.train_loader:
            loss = self.train_loss(self.outputs(images), targets)
            loss.backward()
            self.optimiser.step()
            self.optimiser.zero_grad()
            losses.update(loss.item(), len(images))
            self.steps += 1
            self.trained += len(images)
            self.schedule.step_update(num_updates=self.steps, metric=losses.avg)
        return {"loss": losses.avg}

    def validate(self) -> dict[str, float]:
        """Score the validation images."""
        losses, top1, top5 = AverageMeter(), AverageMeter(), AverageMeter()
        loss_of = nn.CrossEntropyLoss()
        self.model.eval()
        with torch.inference_mode():
            for images, targets in self.val_loader:
                outputs = self.outputs(images)
                first, fifth = accuracy(outputs, targets, topk=(1, 5))
                losses.update(loss_of(outputs, targets).item(), len(images))
                top1.update(first.item(), len(images))
                top5.update(fifth.item(), len(images))
                self.validated += len(images)
        return {"loss": losses.avg, "top1": top1.avg, "top5": top5.avg}

    def run(self) -> None:
        """Train all epochs."""
        saver = CheckpointSaver(
            self.model, self.optimiser, checkpoint_dir=str(self.options.output), max_history=10
        )
        for epoch in range(self.options.epochs):
            trained, validated = self.train_epoch(), self.validate()
            summary = self.options.output / "summary.csv"
            update_summary(epoch, trained, validated, str(summary), write_header=epoch == 0)
            saver.save_checkpoint(epoch, metric=validated["top1"])
            self.schedule.step(epoch + 1, validated["top1"])


def main() -> None:
    """Train as the options say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder with train/CLASS and val/CLASS")
    parser.add_argument("--model", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--amp", action="store_true", help="bfloat16 autocast")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    training = Training(options)
    training.run()
    facts = {name: getattr(training, name) for name in ("steps", "trained", "validated")}
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
