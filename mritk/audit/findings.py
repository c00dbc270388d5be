"""What an audit finds wrong, each thing as one line for a person."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from mritk.audit.copies import Copies
from mritk.audit.image_index import ImageIndex
from mritk.data.samples import Samples
from mritk.reading.parts import SPLITS
from mritk.reading.spelling import canonical_name
from mritk.tasks.task import told_apart
from mritk.text.listed import first_few, many

Level = Literal["leak", "defect", "note"]
NAMED = 3  # examples in a line
SAME = " = "  # between samples that show one image


@dataclass(frozen=True)
class Finding:
    """One thing that a person should know before believing numbers from these data.

    Attributes:
        level: ``leak``: a score would be flattered; ``defect``: the data contradict themselves or
            cannot be read; ``note``: worth knowing.
        kind: A word for programs, such as ``copies`` or ``labels``.
        text: One line.
        count: How many samples, patients or clusters it concerns.
        items: What it concerns, one text each; the line names the first of them.
    """

    level: Level
    kind: str
    text: str
    count: int
    items: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Audited:
    """A dataset under audit, with the collections that it, or a sample of it, declares to be of."""

    name: str
    samples: Samples
    index: ImageIndex
    sources: tuple[str, ...] = ()


def find_all(datasets: Sequence[Audited], copies: Copies) -> Iterator[Finding]:
    """Yield every finding, by dataset, then across datasets."""
    start = 0
    for dataset in datasets:
        rows = np.arange(start, start + len(dataset.samples))
        yield from _unreadable(dataset)
        yield from _patients_in_parts(dataset)
        yield from _copies_in_parts(dataset, copies, rows)
        yield from _copies_inside(dataset, copies, rows)
        yield from _made(dataset)
        yield from _constant(dataset)
        yield from _holes(dataset)
        yield from _passed_over(dataset)
        start += len(dataset.samples)
    yield from _contradictions(datasets, copies)
    yield from _across(datasets, copies)


def _unreadable(dataset: Audited) -> Iterator[Finding]:
    bad = dataset.index.unreadable
    if bad:
        named = [f"{dataset.samples.ids[row]} ({reason})" for row, reason in bad.items()]
        text = f"{len(bad)} of {len(dataset.samples)} samples are unreadable: {first_few(named)}"
        yield Finding("defect", "unreadable", text, len(bad), tuple(named))


def _made(dataset: Audited) -> Iterator[Finding]:
    made_from = [of for of in dataset.samples.made_from or () if of]
    if made_from:
        text = (
            f"{many(len(made_from), 'sample')} made from {len(set(made_from))} others: they have "
            "the patient of these, follow them into training and are never tested"
        )
        yield Finding("note", "made", text, len(made_from))


def _constant(dataset: Audited) -> Iterator[Finding]:
    rows = np.flatnonzero(dataset.index.constant).tolist()
    if len(rows):
        named = [dataset.samples.ids[row] for row in rows]
        text = f"constant samples: {len(rows)} ({first_few(named)})"
        yield Finding("note", "constant", text, len(rows), tuple(named))


def _holes(dataset: Audited) -> Iterator[Finding]:
    shares = dict(zip(dataset.samples.ids, dataset.index.holes, strict=True))
    held = sorted((name for name, share in shares.items() if share), key=lambda n: -shares[n])
    if held:
        named = [f"{name} {_percent(shares[name])}" for name in held]
        text = (
            f"{len(held)} of {len(shares)} samples have values that are NaN or infinite, read as "
            f"0: {first_few(named)}"
        )
        yield Finding("note", "holes", text, len(held), tuple(named))


def _percent(share: float) -> str:
    return "<0.1 %" if share < 0.001 else f"{100 * share:.1f} %"


def _passed_over(dataset: Audited) -> Iterator[Finding]:
    found = dataset.samples.passed_over
    if found:
        named = tuple(name for kind in found for name in kind.names)
        text = f"ignored: {'; '.join(map(str, found))}"
        yield Finding("note", "files", text, len(named), named)


def _patients_in_parts(dataset: Audited) -> Iterator[Finding]:
    patients, splits = dataset.samples.patients, dataset.samples.splits
    if patients is None or splits is None:
        return
    parts = defaultdict(set)
    for patient, split in zip(patients, splits, strict=True):
        parts[patient].add(split)
    straddling = sorted(patient for patient, found in parts.items() if len(found) > 1)
    if straddling:
        text = f"{many(len(straddling), 'patient')} in more than one split: {first_few(straddling)}"
        yield Finding("leak", "patients", text, len(straddling), tuple(straddling))


def copied(one: Sequence[str] | np.ndarray, other: Sequence[str] | np.ndarray) -> int:
    """Return how many of the marks in ``one`` occur in ``other``; empty marks are not counted."""
    marks = set(np.asarray(other).tolist()) - {""}
    return sum(mark in marks for mark in np.asarray(one).tolist())


def _copies_in_parts(dataset: Audited, copies: Copies, rows: np.ndarray) -> Iterator[Finding]:
    """Count the samples of one part that have a copy in another, by strength of the evidence."""
    if dataset.samples.splits is None:
        return
    splits = np.asarray(dataset.samples.splits)
    textured = ~dataset.index.constant
    # A sample that was made from another is never held out, but may be trained on.
    original = np.isin(np.arange(len(rows)), dataset.samples.originals)
    present = [part for part in SPLITS if part in set(splits.tolist())]
    for seen, held_out in combinations(present, 2):
        held = np.flatnonzero((splits == held_out) & textured & original)
        known = np.flatnonzero((splits == seen) & textured)
        files, arrays = (
            copied(np.asarray(column)[held], np.asarray(column)[known])
            for column in (dataset.index.contents, dataset.index.pixels)
        )
        near = copied(copies.clusters[rows[held]], copies.clusters[rows[known]])
        if near:
            total = int((splits[dataset.samples.originals] == held_out).sum())
            have = "has" if near == 1 else "have"
            text = (
                f"{near} of {total} {held_out} samples {have} a duplicate in the {seen} set; "
                f"of these, {arrays} with identical pixels, of which {files} with identical bytes"
            )
            yield Finding("leak", "copies", text, near)


@dataclass(frozen=True, eq=False)
class Told:
    """What is told of each sample of all datasets, and which of it contradicts the other.

    Attributes:
        texts: For each row; None: nothing is known. In one dataset, others contradict.
        keys: For each row, what two datasets call the same, whatever they write.
        owners: (rows,) the number of its dataset.
        together: (datasets, datasets) bool; whether other keys in two datasets contradict.
    """

    texts: Sequence[str | None]
    keys: Sequence[str | None]
    owners: np.ndarray
    together: np.ndarray

    def contradicting(self, rows: Sequence[int]) -> list[int]:
        """Return, of rows that show one image, the first of each text that another contradicts."""
        told = [row for row in rows[::-1] if self.texts[row] is not None]
        first = {(int(self.owners[row]), self.texts[row]): row for row in told}
        texts = Counter(owner for owner, _ in first)
        keys: dict[int, set[str | None]] = defaultdict(set)
        for (owner, _), row in first.items():
            keys[owner].add(self.keys[row])

        def contradicted(owner: int, key: str | None) -> bool:
            elsewhere = (keys[k] for k in keys if k != owner and self.together[owner, k])
            return texts[owner] > 1 or any(len(other) > (key in other) for other in elsewhere)

        return sorted(row for (of, _), row in first.items() if contradicted(of, self.keys[row]))


def labels_of(datasets: Sequence[Audited]) -> Told:
    """Return the targets; those of two datasets contradict only where they are comparable."""
    targets: list[str] = []
    keys: list[str] = []
    for dataset in datasets:
        samples = dataset.samples
        own = [samples.task.target_text(target) for target in samples.targets.tolist()]
        targets += own
        keys += [canonical_name(name) for name in own] if samples.task.classes else own
    together = np.asarray([[comparable(a.samples, b.samples) for b in datasets] for a in datasets])
    return Told(targets, keys, _owners(datasets), together)


def _patients_of(datasets: Sequence[Audited]) -> Told:
    """Return the patients; ids of two datasets say nothing of each other."""
    patients: list[str | None] = []
    for dataset in datasets:
        patients += dataset.samples.patients or [None] * len(dataset.samples)
    apart = np.zeros((len(datasets), len(datasets)), bool)
    return Told(patients, patients, _owners(datasets), apart)


def _owners(datasets: Sequence[Audited]) -> np.ndarray:
    return np.repeat(np.arange(len(datasets)), [len(d.samples) for d in datasets])


def _contradictions(datasets: Sequence[Audited], copies: Copies) -> Iterator[Finding]:
    """Yield the images that stand under several targets, or several patient ids."""
    several = len(datasets) > 1
    ids = [f"{d.name} {id_}" if several else id_ for d in datasets for id_ in d.samples.ids]
    for kind, what, told in (
        ("labels", "label", labels_of(datasets)),
        ("subjects", "patient id", _patients_of(datasets)),
    ):
        found = (told.contradicting(members.tolist()) for members in copies.members)
        named = [[f"{ids[row]} ({told.texts[row]})" for row in rows] for rows in found if rows]
        if named:
            shown = "; ".join(map(_equal, named[:NAMED])) + ("; …" if len(named) > NAMED else "")
            text = f"{many(len(named), 'image')} under several {what}s: {shown}"
            yield Finding("defect", kind, text, len(named), tuple(map(SAME.join, named)))


def samples_of(item: str) -> set[str]:
    """Return the samples that an item of a contradiction may name, each before its label.

    Ids and labels may have brackets, and ids may have what stands between two of them.
    """
    parts = item.split(SAME)
    joined = (SAME.join(parts[at : at + n]) for at in range(len(parts)) for n in (1, 2, 3))
    found = set()
    for one in joined:
        if one.endswith(")"):
            starts = list(re.finditer(r" \(", one))
            # A label such as "1) tumour" closes more than it opens: then any may begin it.
            closed = [at for at in starts if _closed(one[at.end() : -1])] or starts
            found |= {one[: at.start()] for at in closed}
    return found


def _closed(text: str) -> bool:
    """Whether every bracket is closed, after it was opened."""
    depths = np.cumsum([(sign == "(") - (sign == ")") for sign in text] or [0])
    return bool(depths[-1] == 0 and depths.min() >= 0)


def _equal(names: Sequence[str]) -> str:
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return SAME.join([*names[:NAMED], *more])


def comparable(one: Samples, other: Samples) -> bool:
    """Whether the targets of two datasets mean the same where they are called the same.

    Numbers do in one unit; classes where one dataset knows all classes of the other, as
    :func:`mritk.reading.spelling.canonical_name` spells them. ``none`` beside ``glioma`` is another
    class than ``none`` beside ``meningioma``.
    """
    if one.task.classes and other.task.classes:
        ours, theirs = (
            {canonical_name(name) for name in task.classes} for task in (one.task, other.task)
        )
        return ours <= theirs or theirs <= ours
    return one.task == other.task


def _copies_inside(dataset: Audited, copies: Copies, rows: np.ndarray) -> Iterator[Finding]:
    own = rows[dataset.samples.originals]
    within = (members[np.isin(members, own)] for members in copies.members)
    clusters = [members for members in within if len(members) > 1]
    if clusters:
        total = sum(len(members) for members in clusters)
        text = (
            f"{total} samples form {many(len(clusters), 'cluster')} of duplicates (the largest "
            f"has {max(map(len, clusters))})"
        )
        yield Finding("note", "clusters", text, total)


def _across(datasets: Sequence[Audited], copies: Copies) -> Iterator[Finding]:
    starts = np.cumsum([0, *(len(d.samples) for d in datasets)])
    for a, b in combinations(range(len(datasets)), 2):
        one, other = datasets[a], datasets[b]
        clusters = [copies.clusters[starts[k] : starts[k + 1]] for k in (a, b)]
        found = copied(clusters[1], clusters[0])
        if found:
            text = f"{found} of {len(other.samples)} samples of {other.name} are also in {one.name}"
            yield Finding("leak", "across", text, found)
            if not comparable(one.samples, other.samples):
                yield _incomparable(one, other)
        shared = shared_sources(one.sources, other.sources)
        if shared:
            text = f"{one.name} and {other.name} both come from {', '.join(shared)}"
            yield Finding("leak", "sources", text, len(shared))


def _incomparable(one: Audited, other: Audited) -> Finding:
    """Return the note that labels of images in two datasets could not be compared."""
    held = told_apart({dataset.name: dataset.samples.task for dataset in (one, other)})
    text = "labels are not compared, because the targets differ: " + "; ".join(
        f"{name} has {what}" for name, what in held.items()
    )
    if one.samples.task.classes and other.samples.task.classes:
        text += "; --rename OLD=NEW gives classes common names"
    return Finding("note", "classes", text, 2)


def overlap(
    name: str, sources: Sequence[str], backbone: str, pretrained_on: Sequence[str]
) -> Finding | None:
    """Return the finding that a backbone has seen a dataset in pretraining, as both declare."""
    shared = shared_sources(sources, pretrained_on)
    if not shared:
        return None
    text = f"{backbone} was pretrained on {', '.join(shared)}, a source of {name}"
    return Finding("leak", "pretraining", text, len(shared))


def shared_sources(sources: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """Return the collections that both name, whatever the case and the punctuation."""

    def folded(name: str) -> str:
        return "".join(character for character in name.lower() if character.isalnum())

    known = {folded(name) for name in others}
    return tuple(name for name in sources if folded(name) in known)
