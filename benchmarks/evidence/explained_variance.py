"""How far intervals and tests of R² can be believed: a ratio, with a denominator that is drawn.

    python -m benchmarks.evidence.explained_variance

prints, for simulated cohorts, how often the interval covers the mean over all cohorts, how often it
lies below or above, and how often two models that are equally good have p < 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click
import numpy as np

from mritk.evaluate.evidence import Evidence
from mritk.evaluate.regression import REGRESSION
from mritk.evaluate.run_values import Scored

R2 = next(metric for metric in REGRESSION if metric.name == "r2")
RUNS = 3
AGES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "uniform": lambda rng, patients: rng.uniform(18, 85, patients),
    "normal": lambda rng, patients: rng.normal(50, 18, patients),
    "skewed": lambda rng, patients: 18 + rng.exponential(18, patients),
}
ERRORS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, patients: rng.normal(size=patients),
    "t of 3 df": lambda rng, patients: rng.standard_t(3, patients) / math.sqrt(3),
}


@dataclass(frozen=True)
class Cohort:
    """Patients with one image each, in folds of a size, whose ages two models predict.

    Attributes:
        patients: How many there are.
        folds: Number of folds; 1: all are the test part.
        error: Standard deviation of the errors, in years; half of their variance is of the run.
        ages: How ages are distributed, one of ``AGES``.
        errors: How errors are distributed, one of ``ERRORS``.
    """

    patients: int
    folds: int
    error: float
    ages: str
    errors: str

    def draw(self, rng: np.random.Generator) -> Evidence:
        """Return two rows of three runs each."""
        ages = AGES[self.ages](rng, self.patients)
        fold = np.arange(self.patients) % self.folds
        rows = {name: list(self._runs(ages, fold, rng)) for name in "ab"}
        return Evidence(rows, [R2], resamples=1000)

    def _runs(
        self, ages: np.ndarray, fold: np.ndarray, rng: np.random.Generator
    ) -> Iterator[Scored]:
        error, errors = self.error * math.sqrt(0.5), ERRORS[self.errors]
        of_patient = ages + error * errors(rng, len(ages))
        for run in range(RUNS):
            predicted = of_patient + error * errors(rng, len(ages))
            for number in range(self.folds):
                own = np.flatnonzero(fold == number)
                unit = [f"p{patient}" for patient in own]
                scores = predicted[own].astype(np.float32)
                yield Scored((run, 0), number, ages[own], scores, unit)


COHORTS = [
    Cohort(*size, error, ages, errors)
    for ages, errors in (*((ages, "normal") for ages in AGES), ("uniform", "t of 3 df"))
    for size in ((40, 1), (100, 1), (50, 5), (100, 5))
    for error in (5.0, 12.0)
]


def rates(cohort: Cohort, tables: int, rng: np.random.Generator) -> dict[str, float]:
    """Return shares of simulated tables, and the median interval; undefined ones cover nothing."""
    points, ends, p = [], [], []
    for _ in range(tables):
        evidence = cohort.draw(rng)
        (comparison,) = evidence.all_pairs(R2)
        p.append(comparison.p)
        for name in evidence.rows:
            points.append(evidence.estimate(name, R2).point)
            found = evidence.interval(name, R2)
            ends.append((found.low, found.high))
    truth = np.mean(points)
    low, high = np.asarray(ends).T
    return {
        "mean": float(truth),
        "covered": float(((low <= truth) & (truth <= high)).mean()),
        "below": float((high < truth).mean()),
        "above": float((low > truth).mean()),
        "low": float(np.nanmedian(low)),
        "high": float(np.nanmedian(high)),
        "p": float((np.asarray(p) < 0.05).mean()),
    }


@click.command()
@click.option("--tables", default=1000, show_default=True, help="Simulated tables of each cohort.")
@click.option("--seed", default=0, show_default=True, help="Of the random numbers.")
def main(tables: int, seed: int) -> None:
    """Print the rates as a Markdown table."""
    columns = ("patients", "folds", "ages", "errors", "mean R²", "covered", "below / above")
    click.echo("| " + " | ".join((*columns, "median interval", "pairs p < 5 %")) + " |")
    click.echo("|---" * (len(columns) + 2) + "|")
    for number, cohort in enumerate(COHORTS):
        of = rates(cohort, tables, np.random.default_rng([seed, number]))
        click.echo(
            f"| {cohort.patients} | {cohort.folds} | {cohort.ages} | {cohort.errors} "
            f"| {of['mean']:.3f} | {of['covered']:.1%} | {of['below']:.1%} / {of['above']:.1%} "
            f"| [{of['low']:.2f}, {of['high']:.2f}] | {of['p']:.1%} |"
        )


if __name__ == "__main__":
    main()
