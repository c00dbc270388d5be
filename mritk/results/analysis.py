"""How stored predictions are evaluated: which samples, at which level, with which intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mritk.data.samples import Classification
from mritk.errors import UsageError
from mritk.evaluate.by_patient import by_patient
from mritk.evaluate.metric import Undefined
from mritk.evaluate.metrics import Metric
from mritk.evaluate.run_values import RESAMPLES, Scored
from mritk.evaluate.temperature import calibrated, fit_temperature
from mritk.results.trial_facts import TrialFacts
from mritk.store.trial_file import Predictions, TrialRecord

LEVELS = ("image", "patient")
INTERVALS = ("student", "percentile", "bca", "none")
SUBGROUPS = ("site", "source")


@dataclass(frozen=True)
class Analysis:
    """The choices that shape the numbers of a table but not the trials behind it.

    Attributes:
        level: ``image`` scores samples; ``patient`` scores patients, by the mean of the
            probabilities (or values) of their samples.
        resamples: Number of resamples of the bootstrap.
        interval: ``student``, ``percentile``, ``bca`` or ``none``.
        temperature: Divide the logits of each trial by a temperature fitted on its validation
            part.
        given_these_models: Compare the trained networks as they are: what training again would
            change is left out of differences.
        by: ``site`` or ``source``: one table for each; empty: all test samples together.
        extra_metrics: Metrics of plugins.
    """

    level: str = "image"
    resamples: int = RESAMPLES
    interval: str = "student"
    temperature: bool = False
    given_these_models: bool = False
    by: str = ""
    extra_metrics: tuple[Metric, ...] = ()

    def scored(self, record: TrialRecord, *, clean: bool = False) -> Scored:
        """Return what is evaluated of a finished trial.

        Args:
            record: The trial.
            clean: Only the test samples without a copy in training.

        Raises:
            Undefined: There are no patients to aggregate by, or one has several targets; or no
                temperature can be fitted.
        """
        test, score = record.predictions["test"], self._scores(record)
        rows = np.ones(len(test.id), dtype=bool)
        if clean and test.clean is not None:
            rows = test.clean
        target, unit = (
            test.target[rows],
            [u for u, kept in zip(test.unit, rows, strict=True) if kept],
        )
        score = score[rows]
        if self.level == "patient":
            patient = [p for p, kept in zip(test.patient, rows, strict=True) if kept]
            target, score, unit = self._per_patient(target, score, patient, unit)
        return Scored((record.seed, repeat_of(record)), record.fold, target, score, unit)

    def _scores(self, record: TrialRecord) -> np.ndarray:
        score = record.predictions["test"].score
        if self.temperature and isinstance(record.task, Classification):
            if record.stored_protocol.validates_on_test:
                raise Undefined(
                    "the validation set is the test set; a temperature fitted on it would make "
                    "scores optimistic; remove --temperature"
                )
            val = record.predictions["val"]
            score = calibrated(score, fit_temperature(val.target, val.score))
        return score

    @staticmethod
    def _per_patient(
        target: np.ndarray, score: np.ndarray, patient: Sequence[str], unit: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray, list[str]]:
        unit_of = dict(zip(patient, unit, strict=True))
        found = by_patient(target, score, patient)
        return found.target, found.score, [unit_of[name] for name in found.patient]

    def parts(self, record: TrialRecord) -> list[tuple[str, TrialRecord]]:
        """Return (value, the trial with the test samples of this value) for each site or source.

        Raises:
            UsageError: The samples tell no site or source.
        """
        if not self.by or "test" not in record.predictions:
            return [("", record)]
        test = record.predictions["test"]
        values = np.asarray(getattr(test, self.by), dtype=str)
        if not any(values):
            raise UsageError(
                f"the samples of {record.dataset} have no {self.by}; remove --by {self.by}"
            )
        return [
            (value or "unknown", _restricted(record, values == value))
            for value in np.unique(values).tolist()
        ]


def repeat_of(record: TrialRecord | TrialFacts) -> int:
    """Return the number of the repeat of the split that a trial's fold belongs to."""
    return record.fold // max(1, record.folds // record.stored_protocol.repeats)


def _restricted(record: TrialRecord, rows: np.ndarray) -> TrialRecord:
    """Return a trial with some of its test samples."""
    test = record.predictions["test"]

    kept = Predictions(
        id=_chosen(test.id, rows),
        patient=_chosen(test.patient, rows),
        site=_chosen(test.site, rows),
        source=_chosen(test.source, rows),
        target=test.target[rows],
        score=test.score[rows],
        clean=None if test.clean is None else test.clean[rows],
        unit=_chosen(test.unit, rows),
    )
    return replace(record, predictions={**record.predictions, "test": kept})


def _chosen(column: Sequence[str], rows: np.ndarray) -> list[str]:
    return [value for value, kept in zip(column, rows, strict=True) if kept]
