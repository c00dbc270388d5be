"""The method ``threshold``: one level in one channel, a baseline that learns three numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mritk import Setup, Subset
from mritk_segmentation.scans import Scans

LEVELS = np.arange(-1.0, 5.0, 0.125)  # in standard deviations from the mean of a scan


@dataclass(frozen=True)
class NoParameters:
    """The method has no parameters."""


@dataclass(frozen=True)
class Threshold:
    """Whatever lies beyond a level in one channel has one label.

    Attributes:
        channel: Number of the channel.
        level: In standard deviations from the mean of a scan.
        below: Whether the region is darker than the level.
        label: The label.
    """

    setup: Setup
    channel: int
    level: float
    below: bool
    label: int
    notes: dict[str, Any]

    def predict(self, subset: Subset) -> list[np.ndarray]:
        """Return a label map of each sample, uint8, on its own grid."""

        def logits(batch: torch.Tensor) -> torch.Tensor:
            values = batch[:, self.channel]
            inside = values < self.level if self.below else values > self.level
            found = torch.zeros(len(batch), self.setup.task.outputs, *batch.shape[2:])
            found[:, self.label] = 20 * (2 * inside.float().cpu() - 1)
            return found

        return Scans(self.setup, subset, "threshold", 1).label_maps(logits)


def fit_threshold(setup: Setup) -> Threshold:
    """Return the channel, level and side with the largest Dice of all foreground together.

    Its label is the most frequent one of the foreground of the training set.
    """
    scans = Scans(setup, setup.train, "threshold", 1)
    both, either = np.zeros((2, scans.channels, 2, len(LEVELS)))
    counts = np.zeros(setup.task.outputs)
    for row in range(len(scans)):
        rows = torch.tensor([row])
        masks = scans.masks(rows).cpu().numpy().ravel()
        values = scans.batch(rows)[0].flatten(1).cpu().numpy()
        found = _counts(values, masks > 0)
        both, either = both + found[0], either + found[1]
        counts += np.bincount(masks, minlength=len(counts))
    dice = 2 * both / np.maximum(either, 1)
    channel, side, level = np.unravel_index(int(np.argmax(dice)), dice.shape)
    label = 1 + int(counts[1:].argmax())
    notes = {
        "channel": setup.train.samples.channels[channel] if setup.train.samples.channels else "",
        "level": float(LEVELS[level]),
        "side": "below" if side else "above",
        "training Dice": float(dice[channel, side, level]),
    }
    return Threshold(setup, int(channel), float(LEVELS[level]), bool(side), label, notes)


def _counts(values: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each channel, side and level, |A ∩ B| and |A| + |B|, (C, 2, levels) each.

    Args:
        values: (C, voxels) z-scores.
        inside: (voxels,) bool, the foreground.
    """
    both: list[np.ndarray] = []
    sizes: list[np.ndarray] = []
    for channel in values:
        of_all, of_inside = (np.sort(part) for part in (channel, channel[inside]))
        for sorted_values, counts in ((of_all, sizes), (of_inside, both)):
            above = len(sorted_values) - np.searchsorted(sorted_values, LEVELS, side="right")
            below = np.searchsorted(sorted_values, LEVELS, side="left")
            counts.append(np.stack([above, below]))
    return np.stack(both).astype(float), np.stack(sizes).astype(float) + inside.sum()
