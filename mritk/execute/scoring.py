"""The predictions of a fitted model for one part, checked, and scored where they are label maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mritk.data.samples import Samples
from mritk.errors import DataError, MritkError
from mritk.evaluate.cases import case_scores
from mritk.images.subset import Subset
from mritk.method import Fitted
from mritk.store.label_maps import LabelMaps
from mritk.store.record import Predictions

NOISE = 0.01
# Share of the usual spread below which float32 itself computes noise, as of a ReLU nearly dead.
ROUNDING = 1e-6


def predictions_of(
    fitted: Fitted, subset: Subset, method: str, *, part: str, clean: np.ndarray | None
) -> Predictions:
    """Return what a model predicts for the samples of a part, without their units.

    Label maps are compared to their references here, so that methods and metrics never meet; of the
    test part both are kept.

    Raises:
        MritkError: The model returns something else than the task asks for.
    """
    # A copy: a model may work in place on the targets that it is given with the images.
    samples = subset.samples.only(np.arange(len(subset)))
    if samples.task.has_target_maps:
        found = _segmented(fitted, subset, samples, method, part=part)
        found.clean = clean
    else:
        scores = np.asarray(fitted.predict(subset), dtype=np.float32)
        expected = samples.task.score_shape(len(subset))
        if scores.shape != expected:
            raise MritkError(
                f"method {method} returned scores of shape {scores.shape} for {part}, "
                f"not {expected}"
            )
        found = Predictions.of(samples, scores, clean)
    found.spread = _optional(fitted, "spread", subset, method, dims=1, dtype=np.float64)
    return found


def embedding_of(fitted: Fitted, subset: Subset, method: str) -> np.ndarray | None:
    """Return the embedding of each sample, (N, D) float16 or float32; None if the model has none.

    It is float32 where half precision would overflow, or add noise to a feature of more than a
    hundredth of its spread, as to one of 1000 ± 0.3. A spread of less than a millionth of the
    median one counts as that much.

    Raises:
        MritkError: It returns something else.
    """
    exact = _optional(fitted, "embed", subset, method, dims=2, dtype=np.float32)
    if exact is None:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        half = exact.astype(np.float16)
        noise = np.std(half - exact, axis=0)
        spread = np.std(exact, axis=0)
        allowed = NOISE * np.maximum(spread, ROUNDING * np.median(spread))
        return half if (noise <= allowed).all() else exact


def _optional(
    fitted: Fitted,
    name: str,
    subset: Subset,
    method: str,
    *,
    dims: int,
    dtype: type[np.floating[Any]],
) -> np.ndarray | None:
    """Return what an optional function of a fitted model gives, one row per sample."""
    if not hasattr(fitted, name):
        return None
    values = np.asarray(getattr(fitted, name)(subset)).astype(dtype)
    if values.ndim != dims or len(values) != len(subset):
        raise MritkError(
            f"method {method}: {name}() returned shape {values.shape} for {len(subset)} samples"
        )
    return values


def _segmented(
    fitted: Fitted, subset: Subset, samples: Samples, method: str, *, part: str
) -> Predictions:
    maps: Sequence[np.ndarray] = fitted.predict(subset)  # type: ignore[assignment]  # label maps
    if len(maps) != len(subset):
        raise MritkError(
            f"method {method} returned {len(maps)} label maps for {part}, which has {len(subset)} "
            "samples"
        )
    assert samples.read_target is not None
    rows, references = [], []
    for row, predicted in enumerate(maps):
        reference = np.asarray(samples.read_target(row))
        spacing = None if samples.spacing is None else samples.spacing[row].tolist()
        try:
            rows.append(case_scores(samples.task, predicted, reference, spacing))
        except DataError as error:
            raise MritkError(f"method {method}, sample {samples.ids[row]}: {error}") from error
        references.append(reference)
    columns = samples.task.columns
    found = Predictions.of(samples, np.stack(rows) if rows else np.empty((0, len(columns))))
    found.cases = columns
    if part == "test":
        affine = None
        if samples.affine is not None:
            affine = np.asarray([samples.affine(row) for row in range(len(samples))], np.float64)
        found.masks = LabelMaps.of(maps, samples.spacing, affine)
        found.references = LabelMaps.of(references, samples.spacing, affine)
    return found
