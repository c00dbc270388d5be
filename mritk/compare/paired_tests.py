"""The tests of ``mritk differences``: what each says of all pairs of rows of a table.

The clustered bootstrap is always allowed. The others are there for readers who expect them, and
refuse data on which they would be wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from mritk.compare.paired_rows import PairedRows
from mritk.errors import UsageError
from mritk.evaluate.bayesian import Probabilities, fold_probabilities, student_probabilities
from mritk.evaluate.comparison import Comparison, adjusted
from mritk.evaluate.corrected_t import corrected_t
from mritk.evaluate.delong import aurocs, delong
from mritk.evaluate.difference import Difference
from mritk.evaluate.interval import Interval
from mritk.evaluate.mcnemar import mcnemar
from mritk.evaluate.metric import Undefined
from mritk.evaluate.ranks import odds_ranks
from mritk.evaluate.rounding import subtracted
from mritk.results.formats import told_apart

BELIEVED = 0.95


@dataclass(frozen=True)
class Tested:
    """One line: what a test says of a pair of rows.

    Attributes:
        comparison: The difference; its ``reason`` says why there is no p.
        of_class: The class that is told from the rest, or empty.
        probabilities: Of a Bayesian test, which has no p; else None.
    """

    comparison: Comparison
    of_class: str = ""
    probabilities: Probabilities | None = None

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, ``practically equal`` or ``cannot tell``, of the first row."""
        found = self.probabilities
        if found is None:
            return self.comparison.verdict.value
        words = {"better": found.better, "worse": found.worse, "practically equal": found.equal}
        return next((word for word, p in words.items() if p > BELIEVED), "cannot tell")

    @property
    def reason(self) -> str:
        """Why the test says nothing, or empty."""
        if self.probabilities is not None:
            return self.probabilities.reason
        return self.comparison.reason

    @property
    def reversed(self) -> Tested:
        """The same of the second row versus the first."""
        found = self.probabilities
        if found is not None:
            found = replace(found, worse=found.better, better=found.worse)
        return replace(self, comparison=self.comparison.reversed, probabilities=found)

    @property
    def silent(self) -> bool:
        """Whether there is neither p nor probability."""
        found = self.probabilities
        return math.isnan(self.comparison.p if found is None else found.better)


Compare = Callable[[PairedRows, str, str], list[Tested]]


@dataclass(frozen=True)
class PairedTest:
    """A test that ``mritk differences`` offers.

    Attributes:
        label: Its name in a sentence.
        assumes: What it takes for granted, as sentences.
        compare: Returns the lines of a pair, uncorrected; raises Undefined.
        metric: Name of the only metric that it can compare; empty: any.
        resamples: Whether it rests on the bootstrap.
        refuses: Whether it is an error that it says nothing of any pair.
    """

    label: str
    assumes: str
    compare: Compare
    metric: str = ""
    resamples: bool = False
    refuses: bool = True


def _bootstrap(rows: PairedRows, first: str, second: str) -> list[Tested]:
    for found in rows.table.comparisons.get(rows.metric.name, ()):
        if (found.first, found.second) == (first, second):
            return [Tested(found)]
    raise Undefined("a row has no scores")


def _mcnemar(rows: PairedRows, first: str, second: str) -> list[Tested]:
    one, other = rows.two_models(first, second, independent=True)
    found = mcnemar(
        one.score.argmax(axis=1) == one.target,
        other.score.argmax(axis=1) == other.target,
        one.unit,
    )
    interval = found.interval
    if found.reason:
        hint = "--test bootstrap resamples patients"
        if rows.can_join_patients:
            hint = f"score patients with --level patient, or {hint}"
        interval = Interval.undefined(f"{found.reason}; {hint}")
    return [Tested(rows.comparison(first, second, found.difference, interval, found.p))]


def _delong(rows: PairedRows, first: str, second: str) -> list[Tested]:
    task = rows.table.task
    if not task.classes:
        raise Undefined(f"it compares AUROCs, but {rows.table.keys['dataset']} has no classes")
    one, other = rows.two_models(first, second)
    binary = len(task.classes) == 2
    lines = []
    for k, name in enumerate(task.classes):
        if binary and k == 0:  # the area of one class is that of the other
            continue
        scores = np.stack([odds_ranks(one.score, k), odds_ranks(other.score, k)])
        found = delong(aurocs(one.target == k, scores, one.unit))
        compared = rows.comparison(first, second, found.difference, found.interval, found.p)
        lines.append(Tested(compared, "" if binary else name))
    return lines


def _corrected_t(rows: PairedRows, first: str, second: str) -> list[Tested]:
    found = _over_folds(rows, first, second)
    return [Tested(rows.comparison(first, second, found.difference, found.interval, found.p))]


def _over_folds(rows: PairedRows, first: str, second: str) -> Difference:
    one, other = rows.per_fold(first, second)
    return corrected_t(subtracted(one, other), rows.test_to_train(first))


def _bayes(rows: PairedRows, first: str, second: str) -> list[Tested]:
    """Return a Student posterior: over folds where there are some, else by the bootstrap."""
    better, rope = bool(rows.metric.higher_is_better), rows.rope
    if rows.redrawn:
        found = _over_folds(rows, first, second)
        compared = rows.comparison(first, second, found.difference, found.interval, math.nan)
        if rows.table.keys["scheme"] == "kfold":
            one, other = rows.per_fold(first, second)
            repeats = rows.table.protocol.repeats
            believed = fold_probabilities(one, other, rope, repeats, higher_is_better=better)
            return [Tested(compared, probabilities=believed)]
        dof = found.dof
    else:
        (line,) = _bootstrap(rows, first, second)
        if line.comparison.untested:
            raise Undefined(line.comparison.untested)
        compared = replace(line.comparison, p=math.nan, p_adjusted=math.nan)
        dof = compared.dof
    believed = student_probabilities(
        compared.difference, compared.interval.standard_error, dof, rope, higher_is_better=better
    )
    if believed.reason and compared.interval.reason:
        believed = Probabilities.unknown(compared.interval.reason)
    return [Tested(compared, probabilities=believed)]


TESTS: Mapping[str, PairedTest] = {
    "bootstrap": PairedTest(
        "Paired clustered bootstrap",
        "Patients (or duplicate groups) and runs are resampled jointly for both rows. Assumes "
        "independent patients, and a correlation of 1 / (2k) between k folds.",
        _bootstrap,
        resamples=True,
        refuses=False,
    ),
    "mcnemar": PairedTest(
        "McNemar's exact test",
        "Compares two trained models on independent samples, one per patient; p does not include "
        "the effect of retraining. Agresti–Min interval.",
        _mcnemar,
        metric="accuracy",
    ),
    "delong": PairedTest(
        "DeLong's test",
        "Compares one-vs-rest AUROCs of two trained models; images of one patient are summed "
        "(Obuchowski). p does not include the effect of retraining.",
        _delong,
        metric="macro_auroc",
    ),
    "corrected_t": PairedTest(
        "Corrected resampled t-test",
        "Differences per fold, averaged over seeds; the correlation between folds is assumed to "
        "be n_test / (n_test + n_train) (Nadeau and Bengio).",
        _corrected_t,
    ),
    "bayes": PairedTest(
        "Bayesian comparison",
        "Student's posterior under a flat prior: over folds with the correlation of their "
        "training sets, without folds from the clustered bootstrap.",
        _bayes,
        resamples=True,
    ),
}


def compare_all_pairs(rows: PairedRows, test: PairedTest, baseline: str = "") -> list[Tested]:
    """Return the lines of all pairs, with Holm's correction over all of them.

    Args:
        rows: The rows.
        test: The test.
        baseline: Only pairs with the row whose name contains this text; that row comes second.
            Empty: all pairs.

    Raises:
        UsageError: The data do not allow the test, or no row, or several, are the baseline; the
            text says why.
    """
    keys = rows.table.keys
    where = ", ".join([keys["dataset"], f"protocol {keys['protocol']}", *told_apart(keys)])
    lines: list[Tested] = []
    second_row = _the_row(rows.names, baseline, where) if baseline else ""
    for first, second in combinations(rows.names, 2):
        if second_row not in ("", first, second):
            continue
        try:
            found = test.compare(rows, first, second)
        except Undefined as undefined:
            found = [Tested(rows.undefined(first, second, str(undefined)))]
        lines += [line.reversed for line in found] if first == second_row else found
    if not lines:
        raise UsageError(f"{where}: fewer than two rows with finished trials to compare")
    if test.refuses and all(line.silent for line in lines):
        raise UsageError(f"{where}: {test.label} is not applicable: {lines[0].reason}")
    comparisons = adjusted([line.comparison for line in lines])
    return [replace(line, comparison=found) for line, found in zip(lines, comparisons, strict=True)]


def _the_row(names: Sequence[str], text: str, where: str) -> str:
    """Return the row that a text names: all of its name, or a part that no other has."""
    found = [name for name in names if name == text] or [name for name in names if text in name]
    if len(found) == 1:
        return found[0]
    raise UsageError(
        f"{where}: {len(found) or 'no'} rows contain {text!r}; name one of: {'; '.join(names)}"
    )
