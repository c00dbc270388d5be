"""Whether the rows of a table have the same clean test samples.

What is clean depends on what a network was trained on. Rows that were given fewer training samples
have more clean test samples, and their clean scores are of other ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from mritk.results.trial_facts import TrialFacts


def clean_rows(rows: Mapping[str, Sequence[TrialFacts]]) -> list[str]:
    """Return a sentence if rows (their evaluated trials) differ in the clean samples of a fold."""
    of_fold: dict[int, set[tuple[str, ...]]] = defaultdict(set)
    counts: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for name, trials in rows.items():
        for facts in trials:
            if facts.test is not None:
                of_fold[facts.fold].add(facts.test.clean_ids)
                counts[name].update((facts.fold, sample) for sample in facts.test.clean_ids)
    if all(len(found) < 2 for found in of_fold.values()):
        return []
    told = ", ".join(f"{name} {len(clean)}" for name, clean in counts.items())
    return [
        "Rows differ in which test samples are clean, since their training samples differ: "
        f"{told}. Their clean scores are not of the same samples."
    ]
