"""One test sample that is explained: its lesion, its own grid, and what its maps are worth."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import torch

from mritk.data.samples import Samples
from mritk.errors import DataError
from mritk.evaluate.localisation import matched_dice, matched_iou, pointing
from mritk.evaluate.map_metrics import LOCATED
from mritk.explain.faithfulness import faithfulness
from mritk.images.grid import GridLike
from mritk.images.sample_grid import to_sample_grid
from mritk.model.model_file import TrainedModel


@dataclass(frozen=True, eq=False)
class Case:
    """A test sample.

    Attributes:
        id: Its id.
        pixels: (C, *spatial) float32 in [0, 1], as the network gets them.
        target: Its class.
        shape: Spatial shape of the sample as its dataset reads it.
        grid: How samples come to the network's input.
        spacing: Of its places in mm; None: unknown.
        lesion: bool, of ``shape``; None: it has no mask.
    """

    id: str
    pixels: torch.Tensor
    target: int
    shape: tuple[int, ...]
    grid: GridLike
    spacing: np.ndarray | None
    lesion: np.ndarray | None

    @classmethod
    def of(cls, samples: Samples, row: int, pixels: torch.Tensor, grid: GridLike) -> Case:
        """Return the sample at ``row``.

        Raises:
            DataError: Its mask has another shape than the sample.
        """
        spatial = np.asarray(samples.read(row)).shape[bool(samples.channels) :]
        shape, lesion = spatial[: samples.spatial_dims], None
        if samples.read_lesion is not None:
            lesion = np.asarray(samples.read_lesion(row)) != 0
            if lesion.shape != shape:
                raise DataError(
                    f"the lesion mask of {samples.ids[row]} has shape {lesion.shape}, and the "
                    f"sample {shape}; masks must be on the grid of their samples"
                )
        spacing = None if samples.spacing is None else samples.spacing[row]
        target = int(samples.targets[row])
        return cls(samples.ids[row], pixels, target, shape, grid, spacing, lesion)

    @property
    def lesion_size(self) -> int:
        """Number of places of the lesion; -1 without a mask."""
        return -1 if self.lesion is None else int(self.lesion.sum())

    def on_its_grid(self, values: np.ndarray) -> np.ndarray:
        """Return a map of the network's input on the grid of the sample, float32."""
        return to_sample_grid(values[None], self.shape, self.grid, self.spacing)[0]

    def scores(self, model: TrainedModel, values: np.ndarray) -> dict[str, float]:
        """Return what a map, (*spatial) of the network's input, is worth, by column.

        A map that speaks against the class counts as one that speaks for it: its size tells where
        the network looked.
        """
        size = np.abs(values)
        located = dict.fromkeys(LOCATED, math.nan)
        if self.lesion is not None and self.lesion.any():
            own = self.on_its_grid(size)
            measures = (pointing, matched_dice, matched_iou)
            located = {
                name: measure(own, self.lesion)
                for name, measure in zip(LOCATED, measures, strict=True)
            }
        return located | asdict(faithfulness(model, self.pixels, self.target, size))


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's rank correlation of the sizes of two maps; 0 where one is constant."""
    from scipy.stats import spearmanr

    sizes = np.abs(one).ravel(), np.abs(other).ravel()
    if any(np.ptp(size) == 0 for size in sizes):
        return 0.0
    return float(spearmanr(*sizes).statistic)
