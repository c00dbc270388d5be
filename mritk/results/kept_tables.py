"""What was computed of tables before, kept with all that it rests on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any, Protocol, TypeVar

from mritk.evaluate.metric import Metric
from mritk.results.analysis import Analysis
from mritk.results.table_trial import TableTrial, is_own

Found = TypeVar("Found")
# All that is asked of an analysis, but the metrics that others bring: their values are never kept.
CHOICES = sorted({choice.name for choice in fields(Analysis)} - {"extra_metrics"})


class KeptTables(Protocol):
    """Keeps what was computed of tables before."""

    def table(self, key: str) -> Any:
        """Return what is kept under a key, as plain data; None if nothing is."""

    def keep_table(self, key: str, found: Any) -> None:
        """Keep plain data."""


def kept_or_made(
    kept: KeptTables | None,
    key: str | None,
    make: Callable[[], Found],
    *,
    as_data: Callable[[Found], Any],
    from_data: Callable[[Any], Found],
) -> Found:
    """Return what is kept under a key; else make it, and keep it.

    Args:
        kept: Where such are kept; None: nowhere.
        key: See :func:`table_key`; None: it cannot be kept.
        make: Computes it.
        as_data: Makes plain data of it.
        from_data: Takes plain data, and may fail on those of another hand.
    """
    if kept is None or key is None:
        return make()
    with suppress(AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return from_data(kept.table(key))
    found = make()
    kept.keep_table(key, as_data(found))
    return found


def table_key(
    what: str,
    rows: Mapping[str, Sequence[TableTrial]],
    metrics: Sequence[Metric],
    analysis: Analysis,
) -> str | None:
    """Return the key of all that some numbers of a table rest on, but the code of mritk.

    Rows are its evaluated trials, in the order of the table. None if a trial has no mark, as
    nothing tells its content then; or if a metric is of others.
    """
    marked = all(trial.mark for trials in rows.values() for trial in trials)
    if not marked or not all(is_own(metric) for metric in metrics):
        return None
    rests_on = [
        what,
        [[name, [trial.mark for trial in trials]] for name, trials in rows.items()],
        [metric.name for metric in metrics],
        {name: getattr(analysis, name) for name in CHOICES},
    ]
    return hashlib.sha256(json.dumps(rests_on).encode()).hexdigest()[:32]
