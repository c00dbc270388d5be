"""A score over a key in which protocols differ: over shots, over the size of images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation, Transform

from mritk.errors import UsageError
from mritk.evaluate.metric import Metric
from mritk.report.style import (
    RULE,
    axis_label,
    colour,
    dash,
    legend_below,
    panels,
    short,
    styled,
    title_of,
)
from mritk.results.row_keys import named_alike
from mritk.results.table import Cell, Row, Table
from mritk.text.listed import first_few
from mritk.text.natural_order import is_all, value_order, value_text

# What people call a key.
WORDS = {
    "split.shots": "training samples per class (split.shots)",
    "split.train_patients": "training patients (split.train_patients)",
}
# Keys that protocols do not state at their default.
UNSTATED = {"split.train_patients": 0}
BANDS = "Bands and error bars: 95 % intervals."
# Values that span more than this ratio stand on a logarithmic axis.
WIDE = 4
# Points between rows that have one place.
APART = 4


@dataclass(frozen=True)
class Place:
    """Where a table stands on the axis; ``apart`` if no line leads there, as behind all numbers."""

    at: float
    table: Table
    apart: bool


def curve(tables: Sequence[Table], metric: Metric, over: str = "") -> Figure:
    """Draw each row's score with its interval over a key of the protocols, a panel per dataset.

    Args:
        tables: Tables whose protocols differ in one key.
        metric: What is drawn.
        over: The key, such as ``split.shots``; empty: the only one in which they differ. Others may
            go along with it, and are told under the figure.

    Raises:
        UsageError: There is no such key, or a dataset has two tables for one of its values.
    """
    tables = [part for table in tables for part in table.by_protocol]
    if mixed := named_alike(tables):
        raise UsageError(f"{mixed}; select tables with --dataset and --protocol")
    protocols = [{**UNSTATED, **table.protocol.flat} for table in tables]
    key = over or _only_difference(protocols)
    _require_one_each(tables, protocols, key)
    others = [name for name in _differing(protocols) if name != key]
    by_dataset: dict[str, list[tuple[Any, Table]]] = defaultdict(list)
    for table, protocol in zip(tables, protocols, strict=True):
        by_dataset[table.keys["dataset"]].append((protocol[key], table))
    names = sorted({row.name for table in tables for row in table.rows if row.trials})
    with styled():
        figure, axes = panels(len(by_dataset), columns=2, width=3.4, height=2.8)
        for panel, (dataset, found) in zip(axes, sorted(by_dataset.items()), strict=True):
            found.sort(key=lambda pair: value_order(key, pair[0]))
            positions = _positions(panel, key, [value for value, _ in found])
            places = [
                Place(at, table, is_all(key, value))
                for at, (value, table) in zip(positions, found, strict=True)
            ]
            for number, name in enumerate(names):
                _line(panel, places, (name, number, len(names)), metric)
            panel.set(title=title_of(dataset), xlabel=_label(key, others))
            panel.grid(axis="y")
        ends = [panel.get_ylim() for panel in axes]
        for panel in axes:  # one scale, so that datasets can be compared
            panel.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))
        axes[0].set_ylabel(axis_label(metric).replace(" (", "\n("))  # one line is too high
        lines: dict[str, Any] = {}
        for panel in axes:
            handles, labels = panel.get_legend_handles_labels()
            lines |= dict(zip(labels, handles, strict=True))
        cells = [row.cells[metric.name] for table in tables for row in table.rows]
        told = BANDS if any(map(_interval, cells)) else ""
        kinds = [(short(name), lines[name]) for name in names if name in lines]
        legend_below(figure, kinds, columns=2, note=told)
    return figure


def _only_difference(protocols: Sequence[Mapping[str, Any]]) -> str:
    differing = _differing(protocols)
    if len(differing) != 1:
        told = f"differ in {', '.join(differing)}" if differing else "do not differ"
        raise UsageError(
            f"the protocols of these tables {told}; a curve needs exactly one varying key: select "
            "tables with --dataset and --protocol, or create them with 'mritk run --vary "
            "KEY=VALUE,VALUE'"
        )
    return differing[0]


def _require_one_each(
    tables: Sequence[Table], protocols: Sequence[Mapping[str, Any]], key: str
) -> None:
    if any(key not in protocol for protocol in protocols):
        raise UsageError(f"not all of these protocols have {key}; select tables with --protocol")
    places = [
        (table.keys["dataset"], str(protocol[key]))
        for table, protocol in zip(tables, protocols, strict=True)
    ]
    if len(set(places)) < len(places):
        others = [name for name in _differing(protocols) if name != key]
        raise UsageError(
            f"several tables for one value of {key}: they differ in "
            f"{', '.join(others) or 'the data'}; select tables with --dataset and --protocol"
        )


def _differing(protocols: Sequence[Mapping[str, Any]]) -> list[str]:
    keys = sorted({key for protocol in protocols for key in protocol})
    return [key for key in keys if len({str(p.get(key)) for p in protocols}) > 1]


def _label(key: str, others: Sequence[str]) -> str:
    words = WORDS.get(key, key)
    return f"{words}\n(with it: {first_few(others, 1)})" if others else words


def _positions(panel: Axes, key: str, values: Sequence[Any]) -> Sequence[float]:
    """Return where the values stand on the axis: as numbers if they are, else one by one.

    What sets no limit, such as all images, has no place among numbers: it stands at the right end,
    behind a line.
    """
    limits = [value for value in values if not is_all(key, value)]
    if all(isinstance(value, (int, float)) for value in limits):
        positions = _numbers(panel, [float(value) for value in limits], len(values) - len(limits))
    else:
        positions = [float(at) for at in range(len(values))]
    panel.set_xticks(positions, [value_text(key, value) for value in values])
    return positions


def _numbers(panel: Axes, values: Sequence[float], unlimited: int) -> list[float]:
    """Return where numbers stand, with a place at the right end for what sets no limit."""
    wide = bool(values) and min(values) > 0 and max(values) > WIDE * min(values)
    if wide:
        panel.set_xscale("log")
        panel.minorticks_off()
    if not unlimited:
        return list(values)
    if not values:
        return [0.0]
    low, high, share = min(values), max(values), 1 / max(2, len(values))
    end = high * (high / low) ** share if wide else high + ((high - low) or 1.0) * share
    middle = (high * end) ** 0.5 if wide else (high + end) / 2
    panel.axvline(middle, color=RULE, lw=1, ls=":")
    return [*values, end]


def _line(panel: Axes, places: Sequence[Place], who: tuple[str, int, int], metric: Metric) -> None:
    """Draw the scores of one row; who is its name, its number, and the number of rows."""
    name, number, of = who
    points = [
        (place, row.cells[metric.name])
        for place in places
        if (row := _row(place.table, name)) is not None and row.cells[metric.name].defined
    ]
    if not points:
        return
    style: dict[str, Any] = {"color": colour(number), "marker": "o", "ms": 3.5, "lw": 1.5}
    joined = [(place.at, cell) for place, cell in points if not place.apart]
    x, y = [at for at, _ in joined], [cell.mean for _, cell in joined]
    panel.plot(x, y, ls=dash(number), label=name, **style)
    ends = [(at, _interval(cell)) for at, cell in joined]
    # A band across a point without an interval would claim one for it.
    for known, among in groupby(ends, lambda end: end[1] is not None):
        if known:
            _band(panel, [(at, *found) for at, found in among if found], colour(number))
    beside = _beside(panel, number - (of - 1) / 2)
    for place, cell in points:
        if place.apart:
            panel.plot([place.at], [cell.mean], ls="", transform=beside, **style)
            found = _interval(cell) or (cell.mean, cell.mean)
            panel.plot([place.at] * 2, found, color=colour(number), lw=1, transform=beside)
            # What is moved is not seen when limits are chosen.
            panel.update_datalim([(place.at, end) for end in found])
    panel.autoscale_view()


def _band(panel: Axes, ends: Sequence[tuple[float, float, float]], own: str) -> None:
    """Draw intervals of points that follow each other, as place, low, high; of one: a bar."""
    across, low, high = zip(*ends, strict=True)
    panel.fill_between(across, low, high, color=own, alpha=0.15, lw=0)
    if len(ends) == 1:  # a band takes two
        panel.plot(across * 2, [*low, *high], color=own, lw=1)


def _beside(panel: Axes, number: float) -> Transform:
    """Return where points of several rows stand beside each other, not one upon the other."""
    figure = panel.get_figure(root=True)
    assert figure is not None
    shift = ScaledTranslation(APART * number / 72, 0, figure.dpi_scale_trans)
    return panel.transData + shift


def _interval(cell: Cell) -> tuple[float, float] | None:
    return (cell.ends.low, cell.ends.high) if cell.ends else None


def _row(table: Table, name: str) -> Row | None:
    return next((row for row in table.rows if row.name == name and row.trials), None)
