"""Why trials of one dataset stand in several tables, or rows, in a line each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from mritk.protocol.evaluation import evaluation_differences
from mritk.results.trial_facts import TrialFacts
from mritk.text.listed import listed


def drift_of(trials: Iterable[TrialFacts]) -> list[str]:
    """Return where one protocol name stands for several recipes, and where evaluations differ.

    And which data have several names, as those of a folder that was renamed.
    """
    names: dict[str, set[str]] = defaultdict(set)
    by_name: dict[tuple[str, str], dict[str, TrialFacts]] = defaultdict(dict)
    by_data: dict[tuple[str, str], dict[str, TrialFacts]] = defaultdict(dict)
    for facts in trials:
        names[facts.dataset_fingerprint].add(facts.dataset)
        by_name[facts.dataset, facts.protocol].setdefault(facts.fingerprint, facts)
        by_data[facts.dataset, facts.dataset_fingerprint].setdefault(facts.evaluation, facts)
    lines = [
        f"{listed(sorted(called))}: the same data under {len(called)} names, which are not ranked "
        "together; 'mritk run --rerun' under one name does"
        for called in names.values()
        if len(called) > 1
    ]
    for (dataset, protocol), found in sorted(by_name.items()):
        first, *others = (found[fingerprint] for fingerprint in sorted(found))
        for other in others:
            changed = first.stored_protocol.differences(other.stored_protocol)
            lines.append(
                f"{dataset}, {protocol}: {first.fingerprint[:8]} and {other.fingerprint[:8]} "
                f"differ in {'; '.join(changed)}"
            )
    for (dataset, _), found in sorted(by_data.items()):
        first, *others = sorted(found.values(), key=lambda facts: facts.protocol)
        lines += [_apart(dataset, first, o) for o in others if o.protocol != first.protocol]
    return lines


def _apart(dataset: str, one: TrialFacts, other: TrialFacts) -> str:
    fields = evaluation_differences(
        one.stored_protocol, other.stored_protocol, one.scheme, other.scheme
    )
    return (
        f"{dataset}: protocols {one.protocol} and {other.protocol} are not ranked together; their "
        f"evaluations differ in {'; '.join(fields)}"
    )
