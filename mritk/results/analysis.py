"""How stored predictions are evaluated: which samples, at which level, with which intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mritk.evaluate.by_patient import by_patient
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.metric import Metric, Undefined
from mritk.evaluate.paired_runs import POOLED
from mritk.evaluate.run_values import RESAMPLES, Scored
from mritk.evaluate.temperature import calibrated, fit_temperature
from mritk.results.covariate import Covariate
from mritk.results.trial_facts import TrialFacts
from mritk.store.trial_file import TrialRecord

HOLDOUT = "holdout"


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
        by: A covariate (:meth:`Covariate.parse`): one table for each of its groups; empty: all
            test samples together.
        ensembles: Rows to add that are made of others (:data:`mritk.results.ensembles.KINDS`).
        extra_metrics: Metrics of plugins.
    """

    level: str = "image"
    resamples: int = RESAMPLES
    interval: str = "student"
    temperature: bool = False
    given_these_models: bool = False
    by: str = ""
    ensembles: tuple[str, ...] = ()
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
        whole = record.predictions["test"]
        test = replace(whole, score=self._scores(record))
        rows = np.arange(len(test.id))
        if clean and test.clean is not None:
            rows = np.flatnonzero(test.clean)
            test = test.only(rows)
        target, score, unit = test.target, test.score, test.unit
        cases, patient = None, list[str]()
        if self.level == "patient":
            unit_of = dict(zip(test.patient, unit, strict=True))
            patients = by_patient(target, score, test.patient, cases=bool(test.cases))
            target, score = patients.target, patients.score
            cases = test.score if test.cases else None
            unit = [unit_of[name] for name in patients.patient]
            patient = test.patient

        def measured(metric: Metric) -> np.ndarray:
            return whole.scores_for(metric, record.task)[rows]

        of_maps = measured if test.cases else None
        return Scored(run_of(record), record.fold, target, score, unit, cases, of_maps, patient)

    def evidence(
        self,
        rows: Mapping[str, Sequence[Scored]],
        metrics: Sequence[Metric],
        *,
        partial: bool = False,
        derived: Iterable[str] = (),
    ) -> Evidence:
        """Return what the scores of rows can bear.

        ``partial``: means over classes are over those that there are. ``derived`` are the names of
        rows that are made of others.
        """
        return Evidence(
            rows,
            metrics,
            self.resamples,
            self.interval,
            partial,
            given_these_models=self.given_these_models,
            derived=frozenset(derived),
        )

    def _scores(self, record: TrialRecord) -> np.ndarray:
        score = record.predictions["test"].score
        if self.temperature and record.task.classes:
            if record.stored_protocol.validates_on_test:
                raise Undefined(
                    "the validation set is the test set; a temperature fitted on it would make "
                    "scores optimistic; remove --temperature"
                )
            val = record.predictions.get("val")
            if val is None:
                raise Undefined("there is no validation sample that a temperature can be fitted on")
            score = calibrated(score, fit_temperature(val.target, val.score))
        return score

    @property
    def by_class(self) -> bool:
        """Whether each table is of one class."""
        return bool(self.by) and Covariate.parse(self.by).by_class

    def parts(self, record: TrialRecord) -> list[tuple[str, TrialRecord]]:
        """Return (group, the trial with its test samples) for each group of ``by``.

        Raises:
            UsageError: The samples do not tell their group.
        """
        if not self.by or "test" not in record.predictions:
            return [("", record)]
        return list(Covariate.parse(self.by).divided(record).items())


def repeat_of(record: TrialRecord | TrialFacts) -> int:
    """Return the number of the repeat of the split that a trial's fold belongs to.

    Of what is made of all folds it is that of all (:data:`mritk.evaluate.paired_runs.POOLED`).
    """
    if record.fold == POOLED:
        return POOLED
    return record.fold // max(1, record.folds // record.stored_protocol.repeats)


def run_of(record: TrialRecord | TrialFacts) -> tuple[int, int]:
    """Return which run a trial is part of: its seed, and the number of the division.

    A division has all samples in its folds, so each repeat is one. Repeated hold-out draws other
    test samples each time: its draws are the folds of one division.
    """
    return record.seed, 0 if record.scheme == HOLDOUT else repeat_of(record)
