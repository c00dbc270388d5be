"""Curves of the score over shots or resolution, one panel for each dataset."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.findings.numbers import means
from benchmarks.findings.sections import PHANTOM, PRETRAINED, PUBLIC, SCRATCH
from benchmarks.findings.trials import Trials, scored
from mritk.report.canvas import STYLE, colour, dash, panels

CHANCE = 25  # four classes


def curve(trials: Trials, label: str, protocols: Mapping[int, str]) -> Figure:
    """Draw balanced accuracy in points, with intervals, over the keys of ``protocols``."""
    titles = {PUBLIC: "public set, copies dropped", PHANTOM: "phantom"}
    with rc_context(STYLE):
        figure, axes = panels(2, columns=2, width=3.4, height=2.8)
        for panel, dataset in zip(axes, titles, strict=True):
            panel.axhline(CHANCE, color="0.6", lw=0.8, ls=":")
            panel.set(title=titles[dataset], xlabel=label, xscale="log", ylim=(0, 100))
        for (at, dataset), (number, backbone) in product(
            enumerate(titles), enumerate((PRETRAINED, SCRATCH))
        ):
            found = {
                value: means({"": scored(trials.of(dataset, protocol, backbone))})[""]
                for value, protocol in protocols.items()
                if (dataset, protocol, backbone) in trials.found
            }
            low, middle, high = (
                [100 * value for value in values]
                for values in (
                    [f.interval.low for f in found.values()],
                    [f.mean for f in found.values()],
                    [f.interval.high for f in found.values()],
                )
            )
            axes[at].fill_between(list(found), low, high, color=colour(number), alpha=0.15, lw=0)
            axes[at].plot(
                list(found), middle, marker=".", color=colour(number), ls=dash(number),
                label=f"@{backbone.partition('@')[2]}",
            )  # fmt: skip
            axes[at].set_xticks(list(found), [str(value) for value in found])
            axes[at].minorticks_off()
        axes[0].set_ylabel("balanced accuracy (points)")
        axes[0].legend()
    return figure
