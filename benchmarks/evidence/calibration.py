"""Do intervals cover, and are equal backbones called equal? Count it on simulated tables.

    python -m benchmarks.evidence.calibration

prints, for several worlds, how often the interval of balanced accuracy covers the truth, how often
a single pair of equal backbones is called different, and how often a table of them holds any such
verdict after Holm's correction; beside them the same for a bootstrap of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import click
import numpy as np

from benchmarks.evidence.simulated import World, by_rows
from mritk.evaluate.comparison import Verdict
from mritk.evaluate.metrics import find_metric
from mritk.results.evidence import Evidence

WORLDS = {
    "100 patients × 5 images, 3 runs": World(),
    "1 run": World(runs=1),
    "5 runs that differ more": World(runs=5, of_run=0.15),
    "2 runs that differ more": World(runs=2, of_run=0.15),
    "40 patients × 10 images": World(patients=40, images=10),
    "300 patients × 1 image": World(patients=300, images=1),
    "8 backbones": World(backbones=8),
}


@dataclass(frozen=True)
class Counts:
    """Rates over simulated tables.

    Attributes:
        tables: Number of tables.
        covered: Share of rows whose interval covers the truth.
        different: Share of pairs with p below 5 %, uncorrected.
        false: Share of tables with any verdict better or worse.
    """

    tables: int
    covered: float
    different: float
    false: float


def count(world: World, tables: int, resamples: int, *, clustered: bool = True) -> Counts:
    """Draw tables of a world and count."""
    metric = find_metric("balanced_accuracy")
    covered, different, false = [], [], []
    for seed in range(tables):
        table = world.table(seed)
        evidence = Evidence(table if clustered else by_rows(table), [metric], resamples)
        covered += [world.accuracy in evidence.interval(name, metric) for name in table]
        pairs = evidence.all_pairs(metric)
        different += [pair.p < 0.05 for pair in pairs]
        false.append(any(pair.verdict is not Verdict.CANNOT_TELL for pair in pairs))
    return Counts(tables, *(float(np.mean(x)) for x in (covered, different, false)))


@click.command()
@click.option("--tables", default=1000, show_default=True, help="Tables per world.")
@click.option("--resamples", default=1000, show_default=True, help="Resamples per table.")
def main(tables: int, resamples: int) -> None:
    """Print the table of docs/statistics.md."""
    from tabulate import tabulate

    rows = []
    for name, world in WORLDS.items():
        for clustered in (True, False):
            found = count(world, tables, resamples, clustered=clustered)
            unit = "patients" if clustered else "images"
            rates = [f"{100 * x:.1f} %" for x in (found.covered, found.different, found.false)]
            rows.append([name, unit, *rates])
            click.echo(f"{name}, {unit}: {', '.join(rates)}", err=True)
    headings = ["world", "resampled", "covered", "pairs p < 5 %", "tables with a false verdict"]
    click.echo(tabulate(rows, headings, tablefmt="github"))


if __name__ == "__main__":
    main()
