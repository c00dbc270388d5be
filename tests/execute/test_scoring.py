"""What a fitted model says of a part, as it is stored."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mritk import Subset
from mritk.execute.scoring import embedding_of, predictions_of

FEATURES = np.random.default_rng(0).normal(size=(40, 3))
# Nothing but, in one sample, what is left of larger numbers that cancel.
NEARLY_DEAD = np.where(np.arange(40)[:, None] == 7, 1.3e-7, 0)
CONSTANT = np.full((40, 1), 0.1)


def stored(values):
    found = embedding_of(SimpleNamespace(embed=lambda subset: values), values, "toy")
    assert found is not None
    return found


@pytest.mark.parametrize(
    "values",
    [
        FEATURES,
        5 + FEATURES,
        np.hstack([FEATURES, CONSTANT]),
        np.hstack([FEATURES, NEARLY_DEAD]),
        np.hstack([FEATURES, 1e-2 * NEARLY_DEAD]),
    ],
)
def test_embeddings_are_stored_in_half_precision(values):
    assert stored(values).dtype == np.float16
    np.testing.assert_allclose(stored(values), values, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "values",
    [
        1e5 * FEATURES,
        1000 + 0.3 * FEATURES,
        1e-7 * FEATURES,
        FEATURES * [1, 1, 1e5],
        FEATURES * [1, 1, 1e-6],
    ],
)
def test_embeddings_that_half_precision_would_spoil_are_stored_in_single(values):
    assert stored(values).dtype == np.float32
    np.testing.assert_allclose(stored(values), values, rtol=1e-6)


def test_a_method_that_works_in_place_on_targets_changes_none_that_are_stored(
    make_samples, workspace
):
    def predict(subset):
        subset.targets[:] = 0
        return np.zeros((len(subset), 2), np.float32)

    def embed(subset):
        subset.targets[:] = 0
        return np.zeros((len(subset), 3), np.float32)

    subset = Subset.of(make_samples(), np.arange(4), workspace)
    right = subset.targets.copy()
    assert right.any()
    fitted = SimpleNamespace(predict=predict, embed=embed)
    found = predictions_of(fitted, subset, "toy", part="test", clean=None)
    embedding_of(fitted, subset, "toy")
    np.testing.assert_array_equal(found.target, right)
