"""Audit datasets before anything is trained on them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from mritk.audit.copies import Copies, Pair, find_copies
from mritk.audit.findings import Audited, Finding, Told, find_all, labels_of
from mritk.audit.image_index import Progress, image_index, silent
from mritk.data.join import distinct
from mritk.data.samples import Samples
from mritk.files.workspace import Workspace
from mritk.reading.parts import SPLITS


@dataclass(frozen=True, eq=False)
class Audit:
    """The result of an audit.

    Attributes:
        datasets: What was audited; rows of copies are counted through all of them.
        copies: Pairs and clusters of copies.
        findings: What is wrong, most serious first.
    """

    datasets: tuple[Audited, ...]
    copies: Copies
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Whether there is neither a leak nor a defect."""
        return all(finding.level == "note" for finding in self.findings)

    def with_findings(self, more: Sequence[Finding]) -> Audit:
        """Return this audit with further findings."""
        return replace(self, findings=_by_level([*self.findings, *more]))

    def place(self, row: int) -> tuple[Audited, int]:
        """Return the dataset of a row that is counted through all of them, and its row there."""
        for dataset in self.datasets:
            if row < len(dataset.samples):
                return dataset, row
            row -= len(dataset.samples)
        raise IndexError(row)

    def as_data(self) -> dict[str, Any]:
        """Return everything as JSON-able data."""
        return {
            "clean": self.clean,
            "datasets": [describe(dataset) for dataset in self.datasets],
            "findings": [vars(finding) for finding in self.findings],
            "clusters": [self._cluster(rows) for rows in self.copies.members],
        }

    def _cluster(self, rows: np.ndarray) -> dict[str, Any]:
        return {
            "members": [self.member(int(row)) for row in rows],
            "pairs": [self._pair(pair) for pair in self.pairs_of(rows)],
        }

    def pairs_of(self, rows: np.ndarray) -> list[Pair]:
        """Return the pairs that connect one cluster."""
        return self._pairs_by_cluster[int(self.copies.clusters[rows[0]])]

    def contradicting(self, rows: np.ndarray) -> list[int]:
        """Return, of the rows of one cluster, the first of each label that another contradicts."""
        return self._labels.contradicting(rows.tolist())

    @cached_property
    def _labels(self) -> Told:
        return labels_of(self.datasets)

    @cached_property
    def _pairs_by_cluster(self) -> dict[int, list[Pair]]:
        found: dict[int, list[Pair]] = defaultdict(list)
        for pair in self.copies.pairs:
            found[int(self.copies.clusters[pair.one])].append(pair)
        return found

    def member(self, row: int) -> dict[str, Any]:
        """Return what is known of one sample."""
        dataset, own = self.place(row)
        samples = dataset.samples
        target = samples.task.target_value(samples.targets[own].item())
        columns = {"patient": samples.patients, "site": samples.sites, "split": samples.splits}
        known = {name: column[own] for name, column in columns.items() if column is not None}
        return {"dataset": dataset.name, "id": samples.ids[own], "target": target, **known}

    def _pair(self, pair: Pair) -> dict[str, Any]:
        one, other = self.member(pair.one), self.member(pair.other)
        return {
            "one": one["id"],
            "one_dataset": one["dataset"],
            "other": other["id"],
            "other_dataset": other["dataset"],
            "kind": pair.kind,
            "similarity": pair.similarity,
            "change": pair.change,
        }


def audit(
    datasets: Sequence[tuple[str, Samples, Sequence[str], Sequence[str]]],
    workspace: Workspace,
    progress: Progress = silent,
    expected: Sequence[str] = (),
) -> Audit:
    """Audit datasets, each for itself and all against each other.

    Args:
        datasets: For each its name, its samples (images or volumes), what tells its reader from
            others, and the collections it declares to come from.
        workspace: Where signatures and results are kept.
        progress: Called with what is being done and the share of it that is done.
        expected: Of a single dataset; see :func:`mritk.audit.image_index.image_index`.
    """
    names = distinct([name for name, *_ in datasets])
    if len(datasets) > 1:
        expected = ()
    indexes = [
        Audited(
            name,
            samples,
            image_index(samples, workspace, reader, progress, expected),
            tuple(sources),
        )
        for name, (_, samples, reader, sources) in zip(names, datasets, strict=True)
    ]
    copies = find_copies([dataset.index for dataset in indexes], workspace, progress)
    return Audit(tuple(indexes), copies, _by_level(find_all(indexes, copies)))


def _by_level(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    order = {"leak": 0, "defect": 1, "note": 2}
    return tuple(sorted(findings, key=lambda finding: order[finding.level]))


def describe(dataset: Audited) -> dict[str, Any]:
    """Return the counts of one dataset: per part, its samples, patients, sites and classes.

    Sizes and modes are of the readable ones, the most frequent first.
    """
    samples, index = dataset.samples, dataset.index
    readable = [row for row in range(len(index)) if row not in index.unreadable]
    sizes = Counter("×".join(map(str, index.shapes[row])) for row in readable)
    modes = Counter(index.modes[row] for row in readable)
    return {
        "name": dataset.name,
        "samples": len(samples),
        "parts": list(_parts(samples)),
        "sizes": dict(sizes.most_common()),
        "modes": dict(modes.most_common()),
    }


def _parts(samples: Samples) -> Any:
    splits = np.asarray(samples.splits if samples.splits is not None else ["all"] * len(samples))
    for part in ("all", *SPLITS):
        rows = np.flatnonzero(splits == part).tolist()
        if not len(rows):
            continue
        counts = {
            name: None if column is None else len({column[row] for row in rows} - {""})
            for name, column in (("patients", samples.patients), ("sites", samples.sites))
        }
        classes = samples.task.support(samples.targets[rows])
        yield {"part": part, "samples": len(rows), **counts, "classes": classes}
