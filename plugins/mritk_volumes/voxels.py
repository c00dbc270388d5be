"""The methods ``voxel_ridge`` and ``voxel_logistic``: linear models on voxels, the baselines.

scikit-learn's models with an L2 penalty need no voxels, only the inner products of volumes: they
are fitted on the coordinates of a kernel PCA that keeps every component, which has the same
solution. So memory holds N² numbers and a block of volumes, however many voxels these have.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from mritk import DataError, Setup, Subset, images_at
from mritk.train import choose_penalty, zscore

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
# Voxels of a block, as float64, take this much.
BLOCK_BYTES = 2**27


@dataclass(frozen=True)
class VoxelRecipe:
    """Parameters of ``voxel_ridge`` and ``voxel_logistic``.

    Attributes:
        penalties: Candidate strengths of the L2 penalty: alpha of scikit-learn's ``Ridge``, 1 / C
            of its ``LogisticRegression``, for voxels divided by the square root of their number, so
            that volumes of any size have the same scale.
        intensity: ``zscore``: voxels that are not 0 get mean 0 and standard deviation 1 within each
            volume, as the networks of this package take them; ``unit``: as they are, in [0, 1].
        class_weights: ``balanced``: each class weighs as much as the others.
    """

    penalties: tuple[float, ...] = PENALTIES
    intensity: Literal["zscore", "unit"] = "zscore"
    class_weights: Literal["none", "balanced"] = "none"

    def __post_init__(self) -> None:
        """Refuse penalties that are none."""
        if not self.penalties or not all(0 < penalty < np.inf for penalty in self.penalties):
            raise ValueError("penalties must be positive")


class VoxelModel:
    """A linear function of voxels.

    Attributes:
        weight: (outputs, voxels) float64.
        bias: (outputs,) float64.
        notes: What the trial file keeps.
    """

    def __init__(
        self, setup: Setup, weight: np.ndarray, bias: np.ndarray, notes: dict[str, Any]
    ) -> None:
        self._setup, self.weight, self.bias, self.notes = setup, weight, bias, notes

    def predict(self, subset: Subset) -> np.ndarray:
        """Return float32 logits (N, classes), or values (N,)."""
        blocks = Blocks(self._setup, subset)
        found = np.concatenate([block @ self.weight.T for block in blocks]) + self.bias
        return found.astype(np.float32).reshape(self._setup.task.score_shape(len(subset)))

    @property
    def model_cost(self) -> dict[str, float]:
        """The number of weights and biases, and two operations for each weight."""
        values = float(self.weight.size + self.bias.size)
        flops = 2.0 * self.weight.size
        return {"parameters": values, "trained_parameters": values, "flops": flops}


class Blocks:
    """The volumes of a part as rows of voxels, some at a time.

    Iterating yields (B, V) float64, the voxels of B volumes divided by √V.
    """

    def __init__(self, setup: Setup, subset: Subset) -> None:
        self._images = subset.images(setup.input_grid)
        self._channels = len(subset.samples.channels) or 1
        self._zscore = setup.parameters.intensity == "zscore"
        self.count = len(subset)
        self.voxels = int(np.prod(self._images.shape[1:]))
        size = max(1, BLOCK_BYTES // (8 * self.voxels))
        self.rows = np.split(np.arange(self.count), range(size, self.count, size))

    def __getitem__(self, number: int) -> np.ndarray:
        rows = self.rows[number]
        chosen = images_at(self._images, rows)
        values = chosen.astype(np.float64)
        if chosen.dtype == np.uint8:
            values /= 255
        if self._zscore:
            by_channel = torch.from_numpy(values.reshape(len(rows), self._channels, -1))
            values = zscore(by_channel).numpy()
        return values.reshape(len(rows), -1) / np.sqrt(self.voxels)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[number] for number in range(len(self.rows)))


def fit_voxels(setup: Setup) -> VoxelModel:
    """Fit one model per penalty on the training part; keep the best on the validation part.

    With the selection rule ``last`` the first penalty is used.

    Raises:
        UsageError: The selection rule has no value for any penalty.
        DataError: A class has no training sample.
    """
    began = time.perf_counter()
    own: VoxelRecipe = setup.parameters
    penalties = own.penalties if setup.selection.on == "val" else own.penalties[:1]
    blocks = Blocks(setup, setup.train)
    models = fitted_models(setup, blocks, penalties)
    seconds = (time.perf_counter() - began) / len(penalties)

    def scores(number: int) -> tuple[np.ndarray, np.ndarray]:
        model = VoxelModel(setup, *models[number], {})
        return model.predict(setup.train), model.predict(setup.val)

    chosen = choose_penalty(setup, penalties, scores, seconds=seconds)
    notes = {
        "voxels": blocks.voxels,
        "selected_epoch": chosen + 1,
        "selected_penalty": penalties[chosen],
    }
    return VoxelModel(setup, *models[chosen], notes)


def fitted_models(
    setup: Setup, blocks: Blocks, penalties: tuple[float, ...]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weights (outputs, V) and biases (outputs,) of the model of each penalty."""
    from sklearn.decomposition import KernelPCA

    pca = KernelPCA(kernel="precomputed", eigen_solver="dense")
    coordinates = pca.fit_transform(gram(blocks))
    fits = [_fit(setup, coordinates, penalty) for penalty in penalties]
    # Coordinates are inner products with combinations of centred volumes; so are the weights.
    shares = np.concatenate([weight for weight, _ in fits]) / np.sqrt(pca.eigenvalues_)
    combined = shares @ pca.eigenvectors_.T
    combined -= combined.mean(axis=1, keepdims=True)
    weights = np.zeros((len(combined), blocks.voxels))
    mean = np.zeros(blocks.voxels)
    for rows, block in zip(blocks.rows, blocks, strict=True):
        weights += combined[:, rows] @ block
        mean += block.sum(axis=0) / blocks.count
    each = np.split(weights, len(penalties))
    return [(weight, bias - weight @ mean) for weight, (_, bias) in zip(each, fits, strict=True)]


def gram(blocks: Blocks) -> np.ndarray:
    """Return the inner products of all volumes, (N, N) float64; two blocks are held at a time."""
    found = np.empty((blocks.count, blocks.count))
    for number, rows in enumerate(blocks.rows):
        block = blocks[number]
        for other in range(number + 1):
            columns = blocks.rows[other]
            products = block @ (block if other == number else blocks[other]).T
            found[np.ix_(rows, columns)] = products
            found[np.ix_(columns, rows)] = products.T
    return found


def _fit(setup: Setup, coordinates: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (outputs, D) and biases (outputs,) on coordinates (N, D)."""
    from sklearn.linear_model import LogisticRegression, Ridge

    targets, classes = setup.train.targets, setup.task.classes
    if not classes:
        ridge = Ridge(alpha=penalty).fit(coordinates, targets)
        return ridge.coef_[None], np.array([ridge.intercept_])
    absent = sorted(set(range(len(classes))) - set(targets.tolist()))
    if absent:
        raise DataError(
            f"class {classes[absent[0]]!r} has no sample in the training set, so logistic "
            "regression has no finite solution; use another split"
        )
    balanced = setup.parameters.class_weights == "balanced"
    logistic = LogisticRegression(
        C=1 / penalty, class_weight="balanced" if balanced else None, max_iter=10_000, tol=1e-6
    ).fit(coordinates, targets)
    weight, bias = logistic.coef_, logistic.intercept_
    if len(weight) == 1:  # of two classes: the logit of the second against the first
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias
