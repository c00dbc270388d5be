"""What the trials of a table say of it: what audits found, and what makes rows not comparable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mritk.audit.verdict import over_folds, verdict_line
from mritk.results.footnotes import KEPT_COPIES
from mritk.results.table import Row
from mritk.results.trial_facts import TrialFacts


def verdict_of(finished: Sequence[TrialFacts], protocols: Mapping[str, str]) -> str:
    """Return what audits found over all folds: a sentence, or one for each protocol."""
    folds: dict[str, dict[int, Mapping[str, Any]]] = defaultdict(dict)
    for facts in finished:
        folds[facts.fingerprint].setdefault(facts.fold, facts.audit)
    lines = {
        protocols[fingerprint]: verdict_line(
            over_folds([audits[fold] for fold in sorted(audits)]), KEPT_COPIES
        )
        for fingerprint, audits in folds.items()
    }
    if len(set(lines.values())) < 2:
        return next(iter(lines.values()), "")
    divided = {name: line.rpartition(" Split ") for name, line in sorted(lines.items())}
    if len({text for text, _, _ in divided.values()}) == 1:  # smaller training sets, say
        digests = ", ".join(
            f"{split.rstrip('.')} ({name})" for name, (*_, split) in divided.items()
        )
        return f"{divided[min(divided)][0]} Splits {digests}."
    return " ".join(f"{name}: {line}" for name, line in sorted(lines.items()))


def warnings_of(finished: Sequence[TrialFacts], rows: Sequence[Row]) -> list[str]:
    """Return what makes rows of one table less than comparable."""
    warnings = []
    tested: dict[int, set[frozenset[str]]] = defaultdict(set)
    divided: dict[tuple[int, str], set[str]] = defaultdict(set)
    for facts in finished:
        if facts.test is not None:
            tested[facts.fold].add(facts.test.members)
        divided[facts.fold, facts.fingerprint].add(str(facts.audit.get("split")))
    if any(len(samples) > 1 for samples in tested.values()):
        warnings.append(
            "Trials of one fold have different test samples and cannot be compared; the split "
            "may be from another version of mritk or scikit-learn."
        )
    elif any(len(digests) > 1 for digests in divided.values()):
        warnings.append(
            "Trials of one fold have different training samples, because the audit or the "
            "samples it drops have changed; 'mritk run --rerun' retrains."
        )
    if len({frozenset(row.folds) for row in rows if row.trials}) > 1:
        warnings.append("Rows were tested on different folds, i.e. different samples.")
    if len({frozenset(row.seeds) for row in rows if row.trials}) > 1:
        warnings.append(
            "Rows have different seeds: a difference is over the seeds that both rows have, and "
            "may deviate from the difference of their means."
        )
    for row in rows:
        if len(set(zip(row.seeds, row.folds, strict=True))) < row.trials:
            warnings.append(f"{row.name} has several trials of the same seed and fold.")
    return warnings
