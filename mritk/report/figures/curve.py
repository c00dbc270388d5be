"""A score over a key in which protocols differ: over shots, over the size of images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mritk.errors import UsageError
from mritk.evaluate.metric import Metric
from mritk.report.canvas import STYLE, colour, dash, panels
from mritk.results.table import Row, Table

# Values that span more than this ratio stand on a logarithmic axis.
WIDE = 4


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
    protocols = [flat_protocol(table) for table in tables]
    key = over or _only_difference(protocols)
    _require_one_each(tables, protocols, key)
    others = [name for name in _differing(protocols) if name != key]
    by_dataset: dict[str, list[tuple[Any, Table]]] = defaultdict(list)
    for table, protocol in zip(tables, protocols, strict=True):
        by_dataset[table.keys["dataset"]].append((protocol[key], table))
    names = sorted({row.name for table in tables for row in table.rows if row.trials})
    with rc_context(STYLE):
        figure, axes = panels(len(by_dataset), columns=2, width=3.4, height=2.8)
        for panel, (dataset, found) in zip(axes, sorted(by_dataset.items()), strict=True):
            found.sort(key=lambda pair: (str(type(pair[0])), pair[0]))
            positions = _positions(panel, [value for value, _ in found])
            for number, name in enumerate(names):
                _line(panel, positions, [table for _, table in found], (name, number), metric)
            panel.set_title(dataset)
            panel.set_xlabel(_label(key, others))
            panel.grid(axis="y")
        ends = [panel.get_ylim() for panel in axes]
        for panel in axes:  # one scale, so that datasets can be compared
            panel.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))
        axes[0].set_ylabel(f"{metric.label} {metric.arrow}".strip())
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    return figure


def flat_protocol(table: Table) -> dict[str, Any]:
    """Return the protocol that the rows of a table share, as values by dotted key."""
    return table.protocol.flat


def _only_difference(protocols: Sequence[Mapping[str, Any]]) -> str:
    differing = _differing(protocols)
    if len(differing) != 1:
        told = f"differ in {', '.join(differing)}" if differing else "do not differ"
        raise UsageError(
            f"the protocols of these tables {told}; a curve is over one key: choose tables with "
            f"--dataset and --protocol, or make them with 'mritk run --vary KEY=VALUE,VALUE'"
        )
    return differing[0]


def _require_one_each(
    tables: Sequence[Table], protocols: Sequence[Mapping[str, Any]], key: str
) -> None:
    if any(key not in protocol for protocol in protocols):
        raise UsageError(f"not all of these protocols state {key}; choose tables with --protocol")
    places = [
        (table.keys["dataset"], str(protocol[key]))
        for table, protocol in zip(tables, protocols, strict=True)
    ]
    if len(set(places)) < len(places):
        others = [name for name in _differing(protocols) if name != key]
        raise UsageError(
            f"there are several tables for one value of {key}: they differ in "
            f"{', '.join(others) or 'the data'}; choose tables with --dataset and --protocol"
        )


def _differing(protocols: Sequence[Mapping[str, Any]]) -> list[str]:
    keys = sorted({key for protocol in protocols for key in protocol})
    return [key for key in keys if len({str(p.get(key)) for p in protocols}) > 1]


def _label(key: str, others: Sequence[str]) -> str:
    if not others:
        return key
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return f"{key}\n(with it: {others[0]}{more})"


def _positions(panel: Axes, values: Sequence[Any]) -> Sequence[float]:
    """Return where the values stand on the axis: as numbers if they are, else one by one."""
    numbers = all(isinstance(value, (int, float)) for value in values)
    positions = [float(v) for v in values] if numbers else [float(i) for i in range(len(values))]
    if numbers and min(positions) > 0 and max(positions) > WIDE * min(positions):
        panel.set_xscale("log")
        panel.minorticks_off()
    panel.set_xticks(positions, [str(value) for value in values])
    return positions


def _line(
    panel: Axes,
    positions: Sequence[float],
    tables: Sequence[Table],
    who: tuple[str, int],
    metric: Metric,
) -> None:
    name, number = who
    points = [
        (at, row.cells[metric.name])
        for at, table in zip(positions, tables, strict=True)
        if (row := _row(table, name)) is not None and row.cells[metric.name].defined
    ]
    if not points:
        return
    x = [at for at, _ in points]
    panel.plot(
        x,
        [cell.mean for _, cell in points],
        color=colour(number),
        ls=dash(number),
        marker="o",
        ms=3.5,
        lw=1.5,
        label=name,
    )
    ends = [
        (at, cell.interval.low, cell.interval.high)
        for at, cell in points
        if cell.interval is not None and not cell.interval.reason
    ]
    if ends:
        where, low, high = zip(*ends, strict=True)
        panel.fill_between(where, low, high, color=colour(number), alpha=0.15, lw=0)


def _row(table: Table, name: str) -> Row | None:
    return next((row for row in table.rows if row.name == name and row.trials), None)
