"""How long a large leaderboard takes: all metrics, intervals and pairs.

    python -m benchmarks.speed.evidence

20 backbones × 5 seeds × 2,000 test images of 400 patients, 4 classes, 2,000 resamples.
"""

from __future__ import annotations

import time

import click

from benchmarks.evidence.simulated import World
from benchmarks.speed.report import processor
from mritk import Classification
from mritk.evaluate.evidence import Evidence, ties
from mritk.evaluate.metrics import all_metrics


@click.command()
@click.option("--backbones", default=20, show_default=True)
@click.option("--runs", default=5, show_default=True)
@click.option("--patients", default=400, show_default=True)
@click.option("--images", default=5, show_default=True, help="Per patient.")
@click.option("--resamples", default=2000, show_default=True)
def main(backbones: int, runs: int, patients: int, images: int, resamples: int) -> None:
    """Time a leaderboard's evidence, from predictions in memory."""
    table = World(patients=patients, images=images, backbones=backbones, runs=runs).table(0)
    metrics = [m for m in all_metrics().values() if m.task == Classification.kind]
    began = time.perf_counter()
    evidence = Evidence(table, metrics, resamples)
    intervals = [evidence.interval(name, metric) for name in table for metric in metrics]
    resampled = time.perf_counter()
    pairs = [pair for metric in metrics for pair in evidence.all_pairs(metric)]
    ties(list(table), evidence.all_pairs(metrics[0]))
    done = time.perf_counter()
    click.echo(processor())
    click.echo(
        f"{backbones} backbones × {runs} seeds × {patients * images} images of {patients} "
        f"patients, {resamples} resamples: {len(intervals)} intervals of {len(metrics)} metrics "
        f"in {resampled - began:.1f} s, {len(pairs)} pairs in {done - resampled:.1f} s, "
        f"{done - began:.1f} s in all"
    )


if __name__ == "__main__":
    main()
