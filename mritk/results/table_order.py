"""The order of the tables of a leaderboard: by data, by what protocols vary, and by group."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mritk.results.covariate import Covariate
from mritk.results.row_keys import CONTENT_OF, NEVER_RANKED_ACROSS, group_key
from mritk.results.table_trial import TableTrial
from mritk.results.trial_facts import TrialFacts
from mritk.text.natural_order import natural

# What tells tables of other protocols apart; the tables of one protocol or evaluation are its
# groups, whichever of their trials come first.
OF_PROTOCOLS = (*NEVER_RANKED_ACROSS, *CONTENT_OF["protocol"])

Group = tuple[dict[str, str], list[TableTrial]]


def in_order(groups: Sequence[Group], by: str = "") -> list[Group]:
    """Return what makes tables, each with what its trials share, in their order.

    Args:
        groups: See :func:`mritk.results.row_keys.divided`.
        by: What test samples are grouped by, whose groups come in the order of a table by group.
    """
    varied: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
    for named, trials in groups:
        varied[_of_protocols(named)] += [_varied(trial.facts) for trial in trials]
    first = {protocols: min(found) for protocols, found in varied.items()}
    places = {group_key(by): Covariate.parse(by).place} if by else {}

    def place(group: Group) -> tuple[Any, ...]:
        named, _ = group
        rest = tuple(places.get(key, natural)(str(value)) for key, value in named.items())
        dataset = natural(named["dataset"]), named["dataset_fingerprint"]
        return *dataset, first[_of_protocols(named)], rest

    return sorted(groups, key=place)


def _of_protocols(named: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(named[name] for name in OF_PROTOCOLS if name in named)


def _varied(facts: TrialFacts) -> tuple[Any, ...]:
    """Return what varied protocols are sorted by: few samples come before all."""
    stored = facts.stored_protocol
    limit = stored.shots or stored.train_patients or math.inf
    return natural(facts.protocol.partition("[")[0]), limit, natural(facts.protocol)
