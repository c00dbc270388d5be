"""A probe of embeddings: what can be told, what cannot, and that no patient is on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from mritk.evaluate.covariate_probe import probe_scores
from mritk.evaluate.metric import Undefined


def accuracy(scores, group):
    return (scores.argmax(axis=1) == group).mean()


def test_what_an_embedding_shows_is_told():
    rng = np.random.default_rng(0)
    group = np.arange(120) % 3
    embedding = np.eye(3)[group] * 3 + rng.normal(size=(120, 3))
    scores = probe_scores(embedding, group, np.arange(120))
    assert scores.shape == (120, 3)
    assert accuracy(scores, group) > 0.85
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1)


def test_noise_is_at_chance_also_where_patients_have_many_samples():
    """A patient's own noise would tell its site if it stood on both sides."""
    rng = np.random.default_rng(1)
    unit = np.repeat(np.arange(60), 10)
    of_patient = rng.normal(size=(60, 40))
    group = (np.arange(60) % 2)[unit]
    embedding = of_patient[unit] + 0.01 * rng.normal(size=(600, 40))
    assert 0.25 < accuracy(probe_scores(embedding, group, unit), group) < 0.75
    # The check of this check: with samples of one patient on both sides all is told.
    assert accuracy(probe_scores(embedding, group, np.arange(600)), group) > 0.95


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (np.zeros(20, dtype=np.int64), "only one group"),
        (np.r_[np.zeros(17, dtype=np.int64), 1, 1, 1], "a group has 3 patients"),
    ],
)
def test_too_few_of_a_group_are_refused(group, message):
    with pytest.raises(Undefined, match=message):
        probe_scores(np.zeros((20, 2)), group, np.arange(20))
