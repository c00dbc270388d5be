"""Are equal classifiers called equal over real folds? Count it where they are really trained.

    python -m benchmarks.evidence.trained_folds

Nearest class means in six dimensions, of which two rows see the same three and an equally noisy
version each of the other three; what a seed changes is a bootstrap of the training samples. The
folds share training samples, as folds do.
"""

from __future__ import annotations

from dataclasses import dataclass

import click
import numpy as np

from mritk.evaluate.comparison import Verdict
from mritk.evaluate.metrics import find_metric
from mritk.results.evidence import Evidence
from mritk.results.run_values import Scored


@dataclass(frozen=True)
class Cohort:
    """Patients of one image each.

    Attributes:
        patients: Number of patients.
        classes: Number of classes, equally frequent.
        folds: Number of folds.
        seeds: Runs per row.
    """

    patients: int
    classes: int
    folds: int
    seeds: int

    def table(self, seed: int) -> dict[str, list[Scored]]:
        """Return one draw of two rows that are equally good."""
        from sklearn.model_selection import StratifiedKFold

        rng = np.random.default_rng(seed)
        target = np.arange(self.patients) % self.classes
        shared = 1.1 * np.eye(self.classes, 6)[target] + rng.normal(size=(self.patients, 6))
        folds = StratifiedKFold(self.folds, shuffle=True, random_state=seed)
        split = list(folds.split(shared, target))
        rows: dict[str, list[Scored]] = {}
        for name in ("one", "other"):
            seen = shared.copy()
            seen[:, 3:] += rng.normal(size=(self.patients, 3))
            rows[name] = [
                self._trial(run, fold, seen, target, parts, rng)
                for run in range(self.seeds)
                for fold, parts in enumerate(split)
            ]
        return rows

    def _trial(
        self,
        run: int,
        fold: int,
        seen: np.ndarray,
        target: np.ndarray,
        parts: tuple[np.ndarray, np.ndarray],
        rng: np.random.Generator,
    ) -> Scored:
        train, test = parts
        drawn = rng.choice(train, len(train))
        means = np.stack(
            [
                seen[drawn[target[drawn] == k]].mean(axis=0) if k in target[drawn] else np.zeros(6)
                for k in range(self.classes)
            ]
        )
        score = -((seen[test][:, None] - means) ** 2).sum(axis=2) / 2
        names = [f"p{patient}" for patient in test]
        return Scored((run, 0), fold, target[test], score.astype(np.float32), names)


COHORTS = (
    Cohort(24, 3, 5, 2),
    Cohort(48, 4, 5, 1),
    Cohort(60, 3, 5, 1),
    Cohort(60, 3, 5, 3),
    Cohort(100, 4, 10, 1),
)


@click.command()
@click.option("--tables", default=150, show_default=True, help="Tables per cohort.")
@click.option("--resamples", default=400, show_default=True, help="Resamples per table.")
def main(tables: int, resamples: int) -> None:
    """Print the table of docs/statistics.md."""
    metric = find_metric("balanced_accuracy")
    click.echo("| patients | classes | folds | seeds | tested | false verdicts |")
    click.echo("|---|---|---|---|---|---|")
    for cohort in COHORTS:
        pairs = [
            Evidence(cohort.table(seed), [metric], resamples).all_pairs(metric)[0]
            for seed in range(tables)
        ]
        tested = sum(pair.tested for pair in pairs)
        false = sum(pair.verdict is not Verdict.CANNOT_TELL for pair in pairs)
        c = cohort
        click.echo(
            f"| {c.patients} | {c.classes} | {c.folds} | {c.seeds} | {tested} of {tables} "
            f"| {false} ({false / tables:.1%}) |"
        )


if __name__ == "__main__":
    main()
