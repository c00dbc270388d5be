"""How well a covariate, such as the scanner, can be told from embeddings.

A new logistic regression is fitted to standardised embeddings and scores those of other patients
(stratified, grouped cross-validation). Networks that were trained not to show the covariate are so
judged by a probe that they have never met (Elazar & Goldberg 2018, Adversarial removal of
demographic attributes from text data, EMNLP: the training adversary is not a judge).
"""

from __future__ import annotations

import warnings

import numpy as np

from mritk.evaluate.calibration import logits_of
from mritk.evaluate.metric import Undefined

FOLDS = 5
SEED = 0
STEPS = 1000


def probe_scores(embedding: np.ndarray, group: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return logits of the groups for each sample, from probes fitted to other units.

    Args:
        embedding: (N, D) float, finite.
        group: (N,) int64, number of each sample's group, from 0 and without gaps.
        unit: (N,) int64, number of each sample's unit (patient).

    Returns:
        (N, groups) float64.

    Raises:
        Undefined: There is one group only, or one of them has fewer than five units.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    groups = int(group.max(initial=0)) + 1
    if groups < 2:
        raise Undefined("there is only one group")
    fewest = min(len(np.unique(unit[group == number])) for number in range(groups))
    if fewest < FOLDS:
        raise Undefined(
            f"a group has {fewest} patients (or duplicate groups); the probe needs {FOLDS} of each"
        )
    embedding = np.asarray(embedding, dtype=np.float64)
    if not np.isfinite(embedding).all():
        raise Undefined("some embeddings are NaN or infinite")
    probabilities = np.zeros((len(group), groups))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    for train, test in folds.split(embedding, group, unit):
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=STEPS))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a probe that has not converged is a probe still
            probe.fit(embedding[train], group[train])
        known = probe[-1].classes_
        probabilities[np.ix_(test, known)] = probe.predict_proba(embedding[test])
    return logits_of(probabilities)
