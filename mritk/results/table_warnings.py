"""What the trials of a table say of it: what audits found, and what makes rows not comparable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from mritk.audit.findings import samples_of
from mritk.audit.verdict import over_folds, verdict_text
from mritk.results.footnotes import KEPT_COPIES
from mritk.results.row_keys import NEVER_RANKED_ACROSS
from mritk.results.table import Row, Table
from mritk.results.trial_facts import TrialFacts
from mritk.text.listed import first_few, many
from mritk.text.natural_order import natural

NAMED = 8  # folds in a line


def verdict_of(finished: Sequence[TrialFacts], protocols: Mapping[str, str]) -> str:
    """Return what audits found over all folds, once for all protocols of which it is true.

    What makes more of the training samples is told beside its protocol.
    """
    folds: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = defaultdict(dict)
    for facts in finished:
        name = " with ".join(filter(None, (protocols[facts.fingerprint], facts.made_by)))
        folds[facts.fingerprint, name].setdefault(facts.fold, facts.audit)
    names: dict[str, list[str]] = defaultdict(list)
    splits: dict[str, list[str]] = defaultdict(list)
    for (_, name), audits in sorted(folds.items(), key=lambda one: natural(one[0][1])):
        found = over_folds([audits[fold] for fold in sorted(audits)])
        text = verdict_text(found, KEPT_COPIES)
        names[text].append(name)
        if found and found["split"][:8] not in splits[text]:
            splits[text].append(found["split"][:8])
    lines = []
    for text, of in names.items():
        whose = f" of {', '.join(of)}" if len(names) > 1 else ""
        digests = ", ".join(splits[text])
        split = f" Split{'s' if len(splits[text]) > 1 else ''} {digests}." if digests else ""
        lines.append(f"Audit{whose}: {text}{split}")
    return " ".join(lines)


def warnings_of(finished: Sequence[TrialFacts], rows: Sequence[Row]) -> list[str]:
    """Return what makes rows of one table less than comparable."""
    warnings = []
    if any(facts.stored_protocol.rehearsal for facts in finished):
        warnings.append(
            "Small-scale rehearsals with random weights: scores are meaningless; 'mritk run' "
            "without --rehearse trains the study."
        )
    tested: dict[int, set[frozenset[str]]] = defaultdict(set)
    divided: dict[tuple[int, str, str], set[str]] = defaultdict(set)
    for facts in finished:
        if facts.test is not None:
            tested[facts.fold].add(facts.test.members)
        trained_on = facts.fold, facts.fingerprint, facts.made_by
        divided[trained_on].add(str(facts.audit.get("split")))
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
    if images := _contradicted(finished):
        stand = "stands" if images == 1 else "stand"
        warnings.append(
            f"{many(images, 'image')} of the test samples {stand} under several labels, of which "
            "only one can be right: perfect scores may be out of reach."
        )
    if len({frozenset(row.folds) for row in rows if row.trials}) > 1:
        warnings.append("Rows were tested on different folds, i.e. different samples.")
    if len({frozenset(row.seeds) for row in rows if row.trials}) > 1:
        warnings.append(
            "Rows have different seeds: a difference is over the seeds that both rows have, and "
            "may deviate from the difference of their means."
        )
    if any(facts.in_voxels for facts in finished):
        warnings.append(
            "The data do not state the distance of voxels, so metrics in mm take each as 1 mm."
        )
    if lone := _lone_folds(finished):
        warnings.append(
            f"A single patient was tested in {lone}, which counts in a mean over folds like any "
            "other."
        )
    for row in rows:
        if len(set(zip(row.seeds, row.folds, strict=True))) < row.trials:
            warnings.append(f"{row.name} has several trials of the same seed and fold.")
    return warnings


def _contradicted(finished: Sequence[TrialFacts]) -> int:
    """Return how many images under several labels an audit found with a test sample among them."""
    images = {
        item
        for facts in finished
        for finding in facts.audit.get("findings", ())
        if finding["kind"] == "labels"
        for item in finding.get("items", ())
    }
    if not images:  # as of most tables: to gather the names of samples takes longer
        return 0
    tested = {name for facts in finished if facts.test is not None for name in facts.test.ids}
    return sum(not tested.isdisjoint(samples_of(item)) for item in images)


def with_missing_folds(tables: Sequence[Table]) -> list[Table]:
    """Return the tables, with a warning of folds that no row was tested on, though captions count
    them.

    A run may have been tested on a fold in another table: where each is of one group of test
    samples, a fold may hold none of a group.
    """
    tested: dict[tuple[Any, ...], set[int]] = defaultdict(set)
    for table in tables:
        for run, fold in _runs(table):
            tested[run].add(fold)
    told = []
    for table in tables:
        found = {fold for run, _ in _runs(table) for fold in tested[run]}
        told.append(replace(table, warnings=[*table.warnings, *_missing(found, table.folds)]))
    return told


def _runs(table: Table) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Yield for each trial of a table what names its run in any table, and its fold."""
    data = [table.keys[name] for name in NEVER_RANKED_ACROSS]
    for row in (row for row in table.rows if not row.derived):
        recipe = [row.keys[name] for name in ("backbone", "augmentation", "fingerprint")]
        for seed, fold in zip(row.seeds, row.folds, strict=True):
            yield (*data, *recipe, seed), fold


def _missing(tested: Set[int], count: int) -> list[str]:
    missing = sorted(set(range(count)) - tested)
    if not missing or not tested:
        return []
    one, named = len(missing) == 1, first_few([str(fold) for fold in missing], NAMED)
    return [
        f"Fold{'' if one else 's'} {named} of {count} {'is' if one else 'are'} missing in all "
        "rows: every number is of the other folds alone; 'mritk run' without --fold trains all."
    ]


def _lone_folds(finished: Sequence[TrialFacts]) -> str:
    """Return which folds of several test a single patient; empty if none does."""
    patients = {facts.fold: facts.test.patients for facts in finished if facts.test is not None}
    lone = sorted(fold for fold, tested in patients.items() if len(tested) == 1)
    if not lone or len(patients) == 1:
        return ""
    named = first_few([str(fold) for fold in lone], NAMED)
    return f"fold{'' if len(lone) == 1 else 's'} {named}"
