"""Do intervals cover, and are equal backbones called equal? Count it where the truth is known.

    python -m benchmarks.evidence.calibration --kept counts.jsonl

prints, for worlds of two generators (scores that are drawn, and classifiers that are trained on
real folds), how often the interval of a metric covers the truth, how often a single pair of equal
rows is called different, and how often a table of them holds any such verdict after Holm's
correction. For some worlds a bootstrap of images stands beside. With --kept, a run that was
interrupted resumes where it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import click
import numpy as np

from benchmarks.evidence.quick_metric import quick_metric
from benchmarks.evidence.simulated import Table, by_rows
from benchmarks.evidence.worlds import (
    BESIDE,
    BORDERLINE,
    DRAWN,
    ONE_RUN,
    OTHER_METRICS,
    OTHERS,
    TRAINED,
    UNSTABLE,
)
from mritk.evaluate.comparison import Verdict
from mritk.evaluate.evidence import Evidence

BALANCED = "balanced_accuracy"
# Outside of these, an interval of 95 % is not supported, and no verdict.
LEAST_COVERED, MOST_COVERED, MOST_FALSE = 0.93, 0.97, 0.05
# Where only rows that agree to the last patient have a p, nothing was tested.
TESTED = 0.5


class World(Protocol):
    """Tables of equally good rows whose truth is known."""

    def table(self, seed: int) -> Table:
        """Return one draw."""

    def truth(self, metric: str) -> float:
        """Return the expected value of every row."""


@dataclass(frozen=True)
class Counts:
    """Rates over simulated tables of one metric; NaN where nothing was told.

    Attributes:
        covered: Share of intervals that cover the truth.
        first: The same of the first row alone.
        told: Share of rows that have an interval.
        tested: Share of pairs that were tested.
        different: Share of tested pairs with p below 5 %, uncorrected.
        false: Share of tables with any verdict better or worse.
        variance: Of the scores, relative to the mean square of their standard errors.
    """

    covered: float
    first: float
    told: float
    tested: float
    different: float
    false: float
    variance: float


def count(
    world: World,
    tables: int,
    resamples: int,
    *,
    shown: Callable[[Table], Table] = lambda table: table,
    metrics: Sequence[str] = (BALANCED,),
    these: bool = False,
) -> dict[str, Counts]:
    """Draw tables of a world and count, by metric.

    Args:
        world: What is drawn.
        tables: Number of tables.
        resamples: Of each.
        shown: What is resampled of a table.
        metrics: Names of the metrics.
        these: Whether these trained networks are compared as they are.
    """
    chosen = [quick_metric(name) for name in metrics]
    truths = [world.truth(name) for name in metrics]
    rows: dict[str, list[tuple[list[float], ...]]] = {name: [] for name in metrics}
    for seed in range(tables):
        table = shown(world.table(seed))
        evidence = Evidence(table, chosen, resamples, given_these_models=these)
        for metric, truth in zip(chosen, truths, strict=True):
            found = [evidence.interval(name, metric) for name in evidence.rows]
            pairs = evidence.all_pairs(metric)
            rows[metric.name].append(
                (
                    [math.nan if i.reason else float(truth in i) for i in found],
                    [evidence.estimate(name, metric).point for name in evidence.rows],
                    [interval.standard_error for interval in found],
                    [pair.p for pair in pairs],
                    [float(any(pair.verdict is not Verdict.CANNOT_TELL for pair in pairs))],
                )
            )
    return {
        name: _rates(*(np.asarray(column) for column in zip(*some, strict=True)))
        for name, some in rows.items()
    }


def _rates(
    covered: np.ndarray, points: np.ndarray, errors: np.ndarray, p: np.ndarray, false: np.ndarray
) -> Counts:
    told, tested = ~np.isnan(covered), ~np.isnan(p)
    any_test = tested.mean() > TESTED
    claimed = np.square(errors[told]).mean() if told.any() else math.nan
    return Counts(
        float(covered[told].mean()) if told.any() else math.nan,
        float(covered[told[:, 0], 0].mean()) if told[:, 0].any() else math.nan,
        float(told.mean()),
        float(tested.mean()),
        float(np.mean(p[tested] < 0.05)) if any_test else math.nan,
        float(false.mean()) if any_test else math.nan,
        float(points.var(axis=0).mean() / claimed),
    )


def counts_of(
    path: Path | None, key: Sequence[str | int], make: Callable[[], Mapping[str, Counts]]
) -> dict[str, Counts]:
    """Return the counts of a key from a file of one line each, made now if they are not there.

    Without a file they are made anew, and nothing is kept.
    """
    if path is not None and path.exists():
        for line in path.read_text().splitlines():
            name, found = json.loads(line)
            if name == list(key):
                return {metric: Counts(**rates) for metric, rates in found.items()}
    made = dict(make())
    if path is not None:
        with path.open("a") as file:
            told = {metric: asdict(rates) for metric, rates in made.items()}
            file.write(json.dumps([list(key), told]) + "\n")
    return made


def cells(found: Counts, *, first: bool = False) -> list[str]:
    """Return what the table says of a world; of its first row alone if that is the question."""
    covered, variance = "not supported", "–"
    if found.told:
        share = found.first if first else found.covered
        covered, variance = _percent(share), f"{found.variance:.2f}"
        if found.told < 1:
            covered += f" of {_percent(found.told)}"
        if share > MOST_COVERED:
            covered += ", conservative"
        if not LEAST_COVERED <= share <= MOST_COVERED:
            covered = f"not supported ({covered})"
    false = _percent(found.false)
    if found.false > MOST_FALSE:
        false = f"not supported ({false})"
    return [covered, variance, _percent(found.different), false]


def _percent(share: float) -> str:
    return "not tested" if math.isnan(share) else f"{100 * share:.1f} %"


@click.command()
@click.option("--tables", default=400, show_default=True, help="Tables per world.")
@click.option(
    "--more-tables",
    default=1000,
    show_default=True,
    help="Tables of worlds where one row counts, or that are close to 93 or 97 %.",
)
@click.option("--world", "names", multiple=True, help="Only this.")
@click.option("--resamples", default=1000, show_default=True, help="Resamples per table.")
@click.option("--kept", type=click.Path(path_type=Path), help="File of the counts of each world.")
def main(
    tables: int, more_tables: int, names: Sequence[str], resamples: int, kept: Path | None
) -> None:
    """Print the tables of docs/statistics.md."""
    from tabulate import tabulate

    worlds: Mapping[str, World] = {**DRAWN, **TRAINED}
    if unknown := [name for name in names if name not in worlds]:
        raise click.UsageError(f"no world {unknown[0]!r}; there are: {'; '.join(worlds)}")
    rows = []
    for name in names or worlds:
        world = worlds[name]
        generator = "drawn" if name in DRAWN else "trained"
        size = (more_tables if name in (*UNSTABLE, *BORDERLINE) else tables, resamples)
        found = counts_of(kept, (name, *size), partial(count, world, *size))
        told = cells(found[BALANCED], first=name in UNSTABLE)
        rows.append([generator, name, *told])
        if name in BESIDE:
            by_image = partial(count, world, *size, shown=by_rows)
            beside = counts_of(kept, (name, "by image", *size), by_image)
            rows.append([generator, "– the same, by image", *cells(beside[BALANCED])])
        if name == ONE_RUN:
            given = partial(count, world, *size, these=True)
            found = counts_of(kept, (name, "given these models", *size), given)
            rows.append([generator, "– the same, --given-these-models", *cells(found[BALANCED])])
        click.echo(f"{name}: {', '.join(told)}", err=True)
    headings = ["covered", "variance / SE²", "pairs p < 5 %", "tables with a false verdict"]
    click.echo(tabulate(rows, ["scores", "world", *headings], tablefmt="github"))
    rows = []
    for name in OTHERS:
        if names and name not in names:
            continue
        size = (more_tables if name in BORDERLINE else tables, resamples)
        others = partial(count, DRAWN[name], *size, metrics=OTHER_METRICS)
        found = counts_of(kept, (name, "other metrics", *size), others)
        rows += [[name, metric, *cells(rates)] for metric, rates in found.items()]
    click.echo("\n" + tabulate(rows, ["world", "metric", *headings], tablefmt="github"))


if __name__ == "__main__":
    main()
