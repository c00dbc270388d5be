"""How well a covariate alone, such as the head volume, tells the class that a network predicts.

What the covariate tells may be all that a network has learned: the size of a head tells sex. So it
is scored beside the network, on the same test samples and by the same probe that is fitted to
embeddings (:mod:`mritk.evaluate.covariate_probe`), with a paired difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mritk.errors import UsageError
from mritk.evaluate.covariate_probe import probe_scores
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.interval import Interval
from mritk.evaluate.metric import Undefined
from mritk.evaluate.metrics import find_metric
from mritk.evaluate.resampling import numbered
from mritk.evaluate.run_values import Scored
from mritk.results.columns import interval_text
from mritk.results.interval_data import score_data
from mritk.store.trial_file import TrialRecord

METRIC = "balanced_accuracy"
NETWORK, ALONE = "network", "covariate"


@dataclass(frozen=True)
class Alone:
    """A covariate beside a network.

    Attributes:
        name: Name of the covariate.
        value: Balanced accuracy of the covariate alone.
        interval: Of it.
        network: That of the network.
        difference: Network minus covariate.
        difference_interval: Of it, paired.
    """

    name: str
    value: float
    interval: Interval
    network: float
    difference: float
    difference_interval: Interval

    @property
    def text(self) -> str:
        """One sentence."""
        own, apart = (
            "" if interval.reason else f" {interval_text(interval)}"
            for interval in (self.interval, self.difference_interval)
        )
        return (
            f"{self.name} alone: balanced accuracy {self.value:.3f}{own}; the network has "
            f"{self.network:.3f}, difference {self.difference:+.3f}{apart}."
        )

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "name": self.name,
            "metric": METRIC,
            "alone": score_data(self.value, self.interval),
            "network": self.network,
            "difference": score_data(self.difference, self.difference_interval),
        }


def covariate_alone(record: TrialRecord, name: str) -> Alone:
    """Return how well a covariate tells the classes of a trial's test set.

    Raises:
        UsageError: There is no such covariate of numbers, or too few patients know it.
    """
    test = record.predictions["test"]
    numbers = [known for known, column in test.covariates.items() if column.dtype.kind == "f"]
    if name not in numbers:
        raise UsageError(
            f"the samples of {record.dataset} have no numeric covariate {name!r}; available: "
            f"{', '.join(numbers) or 'none'}"
        )
    values = np.asarray(test.covariates[name], dtype=np.float64)
    known_rows = np.isfinite(values)
    test, values = test.only(known_rows), values[known_rows]
    try:
        scores = probe_scores(values[:, None], test.target, numbered(test.unit))
    except Undefined as why:
        raise UsageError(f"{name} alone cannot be scored: {why}") from why
    metric = find_metric(METRIC, record.task)
    rows = {
        NETWORK: [Scored((0, 0), 0, test.target, test.score, test.unit)],
        ALONE: [Scored((0, 0), 0, test.target, scores.astype(np.float32), test.unit)],
    }
    evidence = Evidence(rows, [metric], partial=True, given_these_models=True)
    (found,) = evidence.compare([(NETWORK, ALONE)], metric)
    points = {row: evidence.trials[row][0][metric.name].point for row in rows}
    return Alone(
        name,
        points[ALONE],
        evidence.interval(ALONE, metric),
        points[NETWORK],
        found.difference,
        found.interval,
    )
