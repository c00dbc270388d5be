"""Are equal recipes, and their ensembles, called equal? Count it where the truth is known.

    python -m benchmarks.evidence.ensembles --tables 1000

Rows of a table may differ in backbone, augmentation, protocol or method; what is tested knows
nothing of that, so equal recipes are the equal rows of :mod:`benchmarks.evidence.simulated`, here
with runs that differ more under one recipe than under the other. Beside each row stands the
ensemble of its seeds, as ``mritk leaderboard --ensemble seeds`` has it. Ensembles of equal recipes
are equal too; an ensemble and a row it is made of are not, and are not counted. With --world and
--first-seed, further tables of one world are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click
import numpy as np

from benchmarks.evidence.quick_metric import quick_metric
from benchmarks.evidence.simulated import Table, World
from mritk.evaluate.comparison import Comparison, Verdict
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.mixture import equal_weights, mixed_scores
from mritk.evaluate.paired_runs import POOLED
from mritk.evaluate.run_values import Scored

ENSEMBLE = "ensemble of "
WORLDS = {
    "2 recipes, 5 runs": World(backbones=2, runs=5),
    "2 recipes, 5 runs, one differs more": World(backbones=2, runs=5, of_run=0.1, unstable=3.0),
    "2 recipes, 3 runs that differ more": World(backbones=2, runs=3, of_run=0.15),
    "4 recipes, 3 runs": World(backbones=4, runs=3),
    "2 recipes of 40 patients × 10 images, 5 runs": World(40, 10, backbones=2, runs=5),
}


@dataclass(frozen=True)
class Rates:
    """Shares of tables with a false verdict.

    Attributes:
        recipes: Where there are recipes alone, on any pair.
        ensembles: Where their ensembles stand beside them, on a pair of ensembles.
        beside: Where they do, on a pair of recipes.
    """

    recipes: float
    ensembles: float
    beside: float


def with_ensembles(table: Table) -> Table:
    """Return a table with the ensemble of the seeds of each row."""
    found = dict(table)
    for name, trials in table.items():
        first = trials[0]
        score = mixed_scores([trial.score for trial in trials], equal_weights(len(trials)))
        mixed = Scored((POOLED, 0), 0, first.target, score, first.unit)
        found[f"{ENSEMBLE}{name}"] = [mixed]
    return found


def rates(world: World, seeds: range, resamples: int) -> Rates:
    """Draw a table of each seed; count verdicts on what is truly equal, after Holm over all."""
    metric = quick_metric("balanced_accuracy")
    counted = []
    for seed in seeds:
        drawn = world.table(seed)
        alone = Evidence(drawn, [metric], resamples).all_pairs(metric)
        beside = with_ensembles(drawn)
        derived = frozenset(beside) - frozenset(drawn)
        pairs = Evidence(beside, [metric], resamples, derived=derived).all_pairs(metric)
        of_ensembles = [pair for pair in pairs if derived >= {pair.first, pair.second}]
        of_recipes = [pair for pair in pairs if not derived & {pair.first, pair.second}]
        counted.append([_any(alone), _any(of_ensembles), _any(of_recipes)])
    return Rates(*np.mean(counted, axis=0).tolist())


def _any(pairs: Sequence[Comparison]) -> bool:
    return any(pair.verdict is not Verdict.CANNOT_TELL for pair in pairs)


@click.command()
@click.option("--tables", default=300, show_default=True, help="Tables per world.")
@click.option("--first-seed", default=0, show_default=True, help="Seed of the first table.")
@click.option("--world", "names", multiple=True, type=click.Choice(list(WORLDS)), help="Only this.")
@click.option("--resamples", default=500, show_default=True, help="Resamples per table.")
def main(tables: int, first_seed: int, names: Sequence[str], resamples: int) -> None:
    """Print the table of docs/statistics.md: shares of tables, with intervals of 95 %."""
    from tabulate import tabulate

    rows = []
    for name in names or WORLDS:
        world = WORLDS[name]
        found = rates(world, range(first_seed, first_seed + tables), resamples)
        told = [share_text(share, tables) for share in (found.recipes, found.beside)]
        # Runs that differ more gain more by an ensemble: only recipes are equal then.
        equal = world.unstable == 1
        told.append(share_text(found.ensembles, tables) if equal else "not equal")
        rows.append([name, *told])
    heads = ["world", "recipes", "recipes beside ensembles", "ensembles of seeds"]
    print(tabulate(rows, heads, tablefmt="github"))


def share_text(share: float, tables: int) -> str:
    """Return a share of tables in percent, with its exact interval of 95 % (Clopper & Pearson)."""
    from scipy.stats import binomtest

    ends = binomtest(round(share * tables), tables).proportion_ci()
    return f"{100 * share:.1f} % [{100 * ends.low:.1f}, {100 * ends.high:.1f}]"


if __name__ == "__main__":
    main()
