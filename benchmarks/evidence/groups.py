"""Do the intervals of the gap between groups, and of the worst group, cover the truth?

    python -m benchmarks.evidence.groups

Simulated test sets of several groups of patients (sites, age bands), whose true scores are known:
equal, spread, or one worse than the others. Printed is the table of docs/statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import click
import numpy as np

from benchmarks.evidence.calibration import LEAST_COVERED, MOST_COVERED
from benchmarks.evidence.quick_metric import quick_metric
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.group_scores import group_scores
from mritk.evaluate.run_values import Scored
from mritk.results.group_table import LEAST_FOR_GAP, MOST_FOR_GAP

CLASSES = 2
NOT_SUPPORTED = "not supported"


@dataclass(frozen=True)
class GroupWorld:
    """What is simulated: the log odds of the right class are normal.

    Attributes:
        means: Mean log odds of each group.
        patients: Number of patients of each group.
        images: Images per patient.
        runs: Runs (seeds).
        of_run: Standard deviation of what retraining changes in all groups alike.
        of_run_and_group: Of what it changes group by group.
        rows: Number of rows.
        unstable: How much more the runs of the first row differ.
    """

    means: tuple[float, ...]
    patients: tuple[int, ...]
    images: int = 1
    runs: int = 3
    of_run: float = 0.05
    of_run_and_group: float = 0.05
    of_patient: float = 1.0
    of_run_and_patient: float = 0.5
    rows: int = 2
    unstable: float = 1.0

    metric: ClassVar[str] = "balanced_accuracy"

    @property
    def supported(self) -> bool:
        """Whether mritk tells intervals of gap and worst group of so few groups of so many."""
        return min(self.patients) >= LEAST_FOR_GAP and len(self.patients) <= MOST_FOR_GAP

    @property
    def truth(self) -> np.ndarray:
        """The expected recall of each group; of the first row."""
        return np.asarray([0.5 * math.erfc(-m / math.sqrt(2) / self._spread) for m in self.means])

    @property
    def _spread(self) -> float:
        """Standard deviation of an image, over patients and runs; of the first row."""
        of_run = self.unstable**2 * (self.of_run**2 + self.of_run_and_group**2)
        return math.sqrt(1 + self.of_patient**2 + self.of_run_and_patient**2 + of_run)

    def table(self, seed: int) -> list[dict[str, list[Scored]]]:
        """Return, for each group, the runs of each row."""
        rng = np.random.default_rng(seed)
        of_run = self.of_run * rng.normal(size=(self.rows, self.runs))
        return [
            self._group(group, mean, n, of_run, rng)
            for group, (mean, n) in enumerate(zip(self.means, self.patients, strict=True))
        ]

    def _group(
        self, group: int, mean: float, n: int, of_run: np.ndarray, rng: np.random.Generator
    ) -> dict[str, list[Scored]]:
        patient = np.repeat(np.arange(n), self.images)
        target = (np.arange(n) % CLASSES)[patient]
        names = [f"{group}-{number}" for number in patient]
        difficulty = self.of_patient * rng.normal(size=n)
        rows: dict[str, list[Scored]] = {}
        for row in range(self.rows):
            unstable = self.unstable if row == 0 else 1.0
            for run in range(self.runs):
                retrained = of_run[row, run] + self.of_run_and_group * rng.normal()
                odds = mean + unstable * retrained
                odds = odds + (difficulty + self.of_run_and_patient * rng.normal(size=n))[patient]
                odds = odds + rng.normal(size=len(patient))
                scored = Scored((run, 0), 0, *self._scores(target, mean, odds), names)
                rows.setdefault(f"net{row}", []).append(scored)
        return rows

    def _scores(
        self, target: np.ndarray, mean: float, odds: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return targets and scores of the images of a group."""
        score = np.zeros((len(target), CLASSES), dtype=np.float32)
        score[np.arange(len(target)), target] = odds
        return target, score


@dataclass(frozen=True)
class NumberWorld(GroupWorld):
    """Numbers in place of classes; ``means`` are how large the errors of each group are."""

    metric: ClassVar[str] = "mae"

    @property
    def truth(self) -> np.ndarray:
        """The expected absolute error of each group; of the first row."""
        return np.asarray(self.means) * self._spread * math.sqrt(2 / math.pi)

    def _scores(
        self, target: np.ndarray, mean: float, odds: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(len(odds)), (mean * (odds - mean)).astype(np.float32)


ODDS, PATIENTS = (2.2, 1.5, 1.2, 0.4), (40, 80, 60, 40)
WORLDS = {
    "2 groups of 60 and 20, gap 0.08": GroupWorld((1.8, 1.2), (60, 20)),
    "2 equal groups of 50": GroupWorld((1.5, 1.5), (50, 50)),
    "2 groups of 60 and 40, gap 0.21": GroupWorld((1.8, 0.6), (60, 40)),
    "3 groups of 40, 5 images each, spread": GroupWorld((2.0, 1.4, 0.8), (40,) * 3, images=5),
    "4 groups of 30, spread": GroupWorld((2.0, 1.5, 1.0, 0.5), (30,) * 4),
    "4 equal groups of 40": GroupWorld((1.2,) * 4, (40,) * 4),
    "4 groups of 40, spread": GroupWorld((2.0, 1.5, 1.0, 0.5), (40,) * 4),
    "4 groups of 40 to 80, one worse": GroupWorld((1.5, 1.5, 1.5, 0.6), PATIENTS),
    "4 groups, spread, runs that differ more": GroupWorld(ODDS, PATIENTS, of_run=0.3),
    "4 groups, spread, an unstable row of 2": GroupWorld(ODDS, PATIENTS, unstable=6.0),
    "4 equal groups, an unstable row of 4": GroupWorld((1.5,) * 4, PATIENTS, rows=4, unstable=6.0),
    "5 groups of 40, spread": GroupWorld((2.0, 1.6, 1.2, 0.8, 0.5), (40,) * 5),
    "10 equal groups of 40": GroupWorld((1.5,) * 10, (40,) * 10),
    "numbers: 2 equal groups of 50": NumberWorld((6.0,) * 2, (50,) * 2),
    "numbers: 2 groups of 60 and 40, apart": NumberWorld((6.0, 9.0), (60, 40)),
    "numbers: 4 equal groups of 40": NumberWorld((6.0,) * 4, (40,) * 4),
    "numbers: 4 groups of 40, spread": NumberWorld((5.0, 6.0, 7.0, 9.0), (40,) * 4),
    "numbers: 4 of 40 to 80, one worse": NumberWorld((6.0, 6.0, 6.0, 9.0), PATIENTS, of_run=0.3),
}


@dataclass(frozen=True)
class Rates:
    """Rates over simulated tables of one world.

    Attributes:
        told: Share of tables with intervals; in the others some group has no variance.
        gap: Share of these whose interval of the gap covers the truth.
        worst: The same of the worst group.
        observed: Mean observed gap.
    """

    told: float
    gap: float
    worst: float
    observed: float


# Limits and variances were chosen on tables of the seeds from 0 on; these are seen by no choice.
UNSEEN = 100_000


def count(world: GroupWorld, tables: int, resamples: int) -> Rates:
    """Count how often the intervals of gap and worst group of the first row cover the truth."""
    metric, truth = quick_metric(world.metric), world.truth
    higher = bool(metric.higher_is_better)
    lowest = float(truth.min() if higher else truth.max())
    counted = []
    for seed in range(UNSEEN, UNSEEN + tables):
        groups = {
            str(number): Evidence(rows, [metric], resamples)
            for number, rows in enumerate(world.table(seed))
        }
        scores = group_scores(groups, metric)["net0"]
        if len(scores.names) < len(groups):
            continue
        # An interval is what its test does not refuse.
        gap = not scores.refused_as_gap()(float(np.ptp(truth)))
        worst = not scores.refused_as_worst(higher_is_better=higher)(lowest)
        counted.append((gap, worst, float(np.ptp(scores.points))))
    return Rates(len(counted) / tables, *(float(share) for share in np.mean(counted, axis=0)))


@click.command()
@click.option("--tables", default=1000, show_default=True, help="Tables per world.")
@click.option("--world", "names", multiple=True, type=click.Choice(list(WORLDS)), help="Only this.")
@click.option("--resamples", default=600, show_default=True, help="Resamples per table.")
def main(tables: int, names: Sequence[str], resamples: int) -> None:
    """Print the table of groups of docs/statistics.md."""
    from tabulate import tabulate

    rows = []
    for name in names or WORLDS:
        world = WORLDS[name]
        if not world.supported:
            rows.append([name, f"{np.ptp(world.truth):.3f}", "–", NOT_SUPPORTED, NOT_SUPPORTED])
            continue
        found = count(world, tables, resamples)
        gaps = f"{np.ptp(world.truth):.3f}", f"{found.observed:.3f}"
        rows.append([name, *gaps, _text(found.gap, found.told), _text(found.worst, found.told)])
        click.echo(", ".join(rows[-1]), err=True)
    headings = ["groups", "true gap", "mean observed gap", "gap covered", "worst group covered"]
    click.echo(tabulate(rows, headings, tablefmt="github", disable_numparse=True))


def _text(share: float, told: float) -> str:
    text = f"{100 * share:.1f} %"
    if told < 1:
        text += f" of {100 * told:.1f} %"
    return text if LEAST_COVERED <= share <= MOST_COVERED else f"{NOT_SUPPORTED} ({text})"


if __name__ == "__main__":
    main()
