"""Do the other tests call equal rows equal? Count it on simulated data.

    python -m benchmarks.evidence.other_tests

prints, for each test of ``mritk differences``, how often its p is below 5 % where there is no
difference, and the same for what one would do without heeding patients or folds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import click
import numpy as np
from scipy import stats

from mritk.evaluate.corrected_t import corrected_t
from mritk.evaluate.delong import aurocs, delong
from mritk.evaluate.friedman import friedman
from mritk.evaluate.mcnemar import mcnemar

Rates = tuple[str, float, str, float]


def mcnemar_rates(images: int, trials: int, rng: np.random.Generator) -> Rates:
    """60 patients, accuracy 75 %; all images of a patient come out alike."""
    whole, rows = [], []
    for _ in range(trials):
        right = rng.random((2, 60)) < 0.75
        whole.append(mcnemar(*right).p)
        rows.append(mcnemar(*np.repeat(right, images, axis=1)).p)
    name = f"McNemar, 60 patients × {images} images, one result per patient"
    return name, _rate(whole), "every image counts", _rate(rows)


def delong_rates(patients: int, images: int, trials: int, rng: np.random.Generator) -> Rates:
    """Scores with a part of the patient that both share and a part of the patient of each."""
    unit = np.repeat(np.arange(patients), images)
    positive = unit % 2 == 0
    whole, rows = [], []
    for _ in range(trials):
        of_patient = rng.normal(size=(2, patients)) + rng.normal(size=patients)
        noise = 0.5 * rng.normal(size=(2, len(unit)))
        scores = positive + np.repeat(of_patient, images, axis=1) + noise
        whole.append(delong(aurocs(positive, scores, unit.tolist())).p)
        rows.append(delong(aurocs(positive, scores)).p)
    name = f"DeLong, {patients} patients × {images} images, summed by patient"
    return name, _rate(whole), "every image counts", _rate(rows)


def corrected_t_rates(folds: int, repeats: int, trials: int, rng: np.random.Generator) -> Rates:
    """Differences of folds that are correlated by 1 / k, as the correction assumes."""
    common = math.sqrt(1 / folds) * rng.normal(size=(trials, 1))
    own = math.sqrt(1 - 1 / folds) * rng.normal(size=(trials, folds * repeats))
    found = [corrected_t(row, 1 / (folds - 1)).p for row in common + own]
    plain = stats.ttest_1samp(common + own, 0, axis=1).pvalue
    name = f"corrected t, {folds} folds × {repeats}"
    return name, _rate(found), "plain t-test", _rate(plain)


def friedman_rates(datasets: int, rows: int, trials: int, rng: np.random.Generator) -> Rates:
    """Independent scores."""
    found = [friedman(rng.normal(size=(datasets, rows))) for _ in range(trials)]
    name = f"Friedman by F, {datasets} datasets, {rows} rows"
    return (
        name,
        _rate([one.p for one in found]),
        "by χ²",
        _rate([one.p_chi_squared for one in found]),
    )


def _rate(p: list[float] | np.ndarray) -> float:
    return float((np.asarray(p) < 0.05).mean())


def all_rates(trials: int, seed: int) -> Iterator[Rates]:
    """Yield the rates of every test, each from random numbers of its own."""
    cases: list[Callable[[np.random.Generator], Rates]] = [
        lambda rng: mcnemar_rates(4, trials, rng),
        lambda rng: delong_rates(40, 1, trials, rng),
        lambda rng: delong_rates(40, 4, trials, rng),
        lambda rng: delong_rates(10, 4, trials, rng),
        lambda rng: corrected_t_rates(5, 1, trials, rng),
        lambda rng: corrected_t_rates(10, 2, trials, rng),
        lambda rng: friedman_rates(5, 4, trials, rng),
        lambda rng: friedman_rates(12, 4, trials, rng),
    ]
    for number, case in enumerate(cases):
        yield case(np.random.default_rng([seed, number]))


@click.command()
@click.option("--trials", default=5000, show_default=True, help="Simulated comparisons of each.")
@click.option("--seed", default=0, show_default=True, help="Of the random numbers.")
def main(trials: int, seed: int) -> None:
    """Print the rates as a Markdown table."""
    click.echo("| test | p < 0.05 | instead | p < 0.05 |\n|---|---|---|---|")
    for name, rate, instead, wrong in all_rates(trials, seed):
        click.echo(f"| {name} | {rate:.1%} | {instead} | {wrong:.1%} |")


if __name__ == "__main__":
    main()
