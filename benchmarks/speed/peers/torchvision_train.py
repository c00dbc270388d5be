"""Train in the common way: ``ImageFolder``, ``DataLoader``, ``transforms.v2``, a loop by hand.

Random resized crop, horizontal flip, brightness and contrast per image; AdamW with a cosine
schedule, label smoothing 0.1; a validation and a checkpoint after each epoch. Networks that
torchvision has are torchvision's, others timm's. An incomplete last batch is left out of an epoch,
so that all programs make the same number of steps.

The last line of output tells the numbers of steps and images.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build(model: str) -> nn.Module:
    """Return a randomly initialised network for four classes."""
    if model in torchvision.models.list_models():
        return torchvision.models.get_model(model, weights=None, num_classes=4)
    import timm

    return timm.create_model(model, pretrained=False, num_classes=4)


def make_loader(options: argparse.Namespace, *, training: bool) -> DataLoader[object]:
    """Return the loader of training or validation."""
    size = options.size
    geometry = (
        [
            v2.RandomResizedCrop(size, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.4, contrast=0.4),
        ]
        if training
        else [v2.Resize((size, size), antialias=True)]
    )
    tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    part = "train" if training else "val"
    return DataLoader(
        ImageFolder(str(options.data / part), transform=v2.Compose([*geometry, *tensor])),
        batch_size=options.batch,
        shuffle=training,
        drop_last=training,
        num_workers=options.workers,
        pin_memory=options.device.startswith("cuda"),
    )


class Training:
    """A model, what it is trained with, and how many steps and images there were."""

    def __init__(self, options: argparse.Namespace) -> None:
        torch.manual_seed(0)
        self.options = options
        self.model = build(options.model).to(options.device)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, options.epochs)
        self.train_loader = make_loader(options, training=True)
        self.val_loader = make_loader(options, training=False)
        self.steps, self.trained, self.validated = 0, 0, 0

    def outputs(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        kind = torch.device(self.options.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=self.options.amp):
            return self.model(images)

    def train_epoch(self) -> None:
        """Train for one epoch."""
        loss_of = nn.CrossEntropyLoss(label_smoothing=0.1)
        self.model.train()
        for images, targets in self.train_loader:
            here, labels = images.to(self.options.device), targets.to(self.options.device)
            loss = loss_of(self.outputs(here), labels)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            self.steps += 1
            self.trained += len(images)
        self.schedule.step()

    def validate(self) -> float:
        """Return the accuracy on the validation images."""
        right, images_seen = 0, 0
        self.model.eval()
        with torch.no_grad():
            for images, targets in self.val_loader:
                outputs = self.outputs(images.to(self.options.device))
                right += (outputs.argmax(1).cpu() == targets).sum().item()
                images_seen += len(images)
        self.validated += images_seen
        return right / images_seen


def main() -> None:
    """Train as the options say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder with train/CLASS and val/CLASS")
    parser.add_argument("--model", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--amp", action="store_true", help="bfloat16 autocast")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    training = Training(options)
    for epoch in range(options.epochs):
        training.train_epoch()
        accuracy = training.validate()
        state = {"model": training.model.state_dict(), "optimiser": training.optimiser.state_dict()}
        torch.save(state | {"accuracy": accuracy}, options.output / f"epoch-{epoch}.pt")
    facts = {name: getattr(training, name) for name in ("steps", "trained", "validated")}
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
