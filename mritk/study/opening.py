"""From the name of a dataset to its samples: joined, with classes renamed and patient ids set."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import mritk.reading
from mritk.audit.image_index import ImageIndex
from mritk.data.join import join, rename_classes
from mritk.data.one_name import require_distinct_classes
from mritk.data.patients import PatientRule, require_patients
from mritk.data.samples import Samples
from mritk.errors import DataError, Unavailable, UsageError
from mritk.files.code_state import digest_of_sources, library_versions, source_digest
from mritk.files.workspace import Workspace
from mritk.images.identified import array_digests, identified
from mritk.plugins.options import split_options
from mritk.plugins.registry import Registry
from mritk.reading.spelling import composed
from mritk.records import Dataset, DatasetFamily, Origin
from mritk.splits.split_rule import SplitRule, resolved_scheme
from mritk.study.data_options import DataOptions, NamedDataset
from mritk.study.one_dataset import open_samples, with_told_patients
from mritk.study.path_hint import hinted

Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class Opened:
    """A dataset, or several joined, with its samples.

    Attributes:
        record: Its name, licence and sources.
        samples: Its samples; their digests, if declared, are those of files.
        reader: What tells the code that reads these samples from other such code.
        told: What the options of the run tell of this dataset; it opens it alone as it was opened.
        rule: How its patients are told.
    """

    record: Dataset
    samples: Samples
    reader: tuple[str, ...]
    told: DataOptions
    rule: PatientRule

    def identified(self, index: ImageIndex | None, expected: Sequence[str] = ()) -> Samples:
        """Return the samples as trials know them: by the arrays that are read, proven each time.

        Args:
            index: What the audit saw of them; None where they do not lie on a grid, and each is
                read for this.
            expected: Digests of their arrays, for samples without an index that were read before.
        """
        if index is not None:
            return identified(self.samples, index.arrays, index.unreadable)
        if len(expected) == len(self.samples):
            return identified(self.samples, expected, {})
        return identified(self.samples, *array_digests(self.samples))

    def for_audit(self) -> tuple[str, Samples, tuple[str, ...], tuple[str, ...]]:
        """Name, samples, reader and sources, as :func:`mritk.audit.audit.audit` takes them."""
        return self.record.name, self.samples, self.reader, self.sources

    @property
    def sources(self) -> tuple[str, ...]:
        """The collections that the dataset, or a sample of it, declares to come from."""
        return tuple(
            dict.fromkeys((*self.record.sources, *sorted(set(self.samples.sources or ()))))
        )


def joined_names(name: str, registry: Registry) -> list[str]:
    """Return the names of the datasets that ``a+b`` joins; one name if it joins none.

    A plus sign joins only where the name of a dataset or of a family follows, so that paths may
    hold one.
    """
    families = registry.records(DatasetFamily)
    names = [dataset.name for dataset in registry.records(Dataset)]
    names += [family.opening for family in families if not family.placeholder]
    openings = [re.escape(family.opening) for family in families if family.placeholder]
    known = "|".join([*(f"{re.escape(name)}(?=$|\\+|,)" for name in names), *openings])
    return re.split(rf"\+(?={known})", name) if known else [name]


def find_datasets(
    name: str, registry: Registry, instructions: Mapping[str, str] | None = None
) -> tuple[Dataset, ...]:
    """Return the dataset of that name, or those that ``a+b`` joins.

    Raises:
        UnknownName: Nobody provides one of them.
        Unavailable: One is not there; its instructions tell how to get it.
        UsageError: What is said behind a name is wrong.
    """
    return tuple(
        instructed(
            partial(hinted, partial(registry.dataset, part.name), part.asked, registry),
            part.name,
            instructions or {},
        )
        for part in named_datasets(name, registry)
    )


def named_datasets(name: str, registry: Registry) -> list[NamedDataset]:
    """Return the datasets that ``a+b`` joins, each with what is said behind its name.

    Raises:
        UsageError: What is said is wrong.
    """
    parts = joined_names(name, registry)
    return [NamedDataset.of(part, registry.dataset_options(part)) for part in parts]


def instructed(get: Callable[[], Found], name: str, instructions: Mapping[str, str]) -> Found:
    """Call ``get``; if a dataset is not there, tell how to get it.

    Raises:
        Unavailable: It is not there.
    """
    try:
        return get()
    except Unavailable as error:
        if name not in instructions:
            raise
        raise Unavailable(f"{error}; {instructions[name]}") from error


def open_datasets(
    names: Sequence[str], registry: Registry, workspace: Workspace, options: DataOptions
) -> list[Opened]:
    """Open datasets by name, or joined as ``a+b``.

    Classes are renamed in each dataset that has them, and patients told of each that does not name
    them. What is said behind the name of a dataset takes the place of ``options``.

    Raises:
        UnknownName: Nobody provides one of them.
        Unavailable: One is not there; the message tells how to get it.
        DataError: One has no samples; classes or patients cannot be told as asked; or no dataset
            has a class that is to be renamed.
    """
    rename = {composed(old): composed(new) for old, new in options.rename.items()}
    options = replace(options, rename=rename)
    read = [_read(name, registry, workspace, options.instructions) for name in names]
    for old in rename:
        if not any(old in found.classes for found in read):
            known = ", ".join(dict.fromkeys(c for found in read for c in found.classes)) or "none"
            lacking, have = f"{names[0]} has no class", "it has"
            if len(names) > 1:
                lacking, have = "none of these datasets has a class", "they have"
            raise DataError(f"--rename {old}=…: {lacking} {old!r}; {have} {known}")
    # Where every dataset names its patients, each is handed the rule, and refuses it.
    needed = any(found.lacks_patients for found in read)
    return [
        _opened(
            found, options if found.lacks_patients or not needed else options.without_patients()
        )
        for found in read
    ]


@dataclass(frozen=True, eq=False)
class _Read:
    """The datasets that one name joins, as their readers give them."""

    named: Sequence[NamedDataset]
    records: Sequence[Dataset]
    parts: Sequence[Samples]

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(c for part in self.parts for c in part.task.classes))

    @property
    def lacks_patients(self) -> bool:
        pairs = zip(self.named, self.parts, strict=True)
        return any(p.patients is None and not named.tells_patients for named, p in pairs)


def _read(
    name: str, registry: Registry, workspace: Workspace, instructions: Mapping[str, str]
) -> _Read:
    named, records = named_datasets(name, registry), find_datasets(name, registry, instructions)
    parts = [
        instructed(
            partial(hinted, partial(open_samples, record, workspace), one.asked, registry),
            one.name,
            instructions,
        )
        for one, record in zip(named, records, strict=True)
    ]
    return _Read(named, records, parts)


def _opened(read: _Read, options: DataOptions) -> Opened:
    """Rename classes, tell patients and join."""
    named, records, rename = read.named, read.records, options.rename
    readers = map(_reader, (one.name for one in named), records, read.parts)
    reader = tuple(text for one in readers for text in one)
    parts = []
    for one, record, part in zip(named, records, read.parts, strict=True):
        for old in one.told.rename:
            if old not in part.task.classes:
                known = ", ".join(part.task.classes) or "none"
                raise DataError(f"{one.asked}: it has no class {old!r}; it has {known}")
        parts.append(_renamed(part, {**rename, **one.told.rename}))
        require_distinct_classes(parts[-1], record.name)
    told = replace(options, rename={o: new for o, new in rename.items() if o in read.classes})
    if len(records) == 1:
        rule = named[0].told.rule if named[0].tells_patients else options.rule
        samples = with_told_patients(parts[0], rule, named[0].name)
        return Opened(records[0], samples, reader, told, rule)
    joined_name = "+".join(record.name for record in records)
    sources = tuple(dict.fromkeys(source for record in records for source in record.sources))
    samples = _joined(named, records, parts, options.rule, joined_name)
    record = Dataset(
        joined_name,
        open=lambda _: samples,
        sources=sources,
        license=" + ".join(dict.fromkeys(record.license for record in records)),
        origin=Origin(" + ".join(dict.fromkeys(str(record.origin) for record in records))),
    )
    admitted = options.no_patient_ids or all(one.told.no_patient_ids for one in named)
    rule = PatientRule(none=True) if admitted else options.rule
    return Opened(record, samples, reader, told, rule)


def _renamed(samples: Samples, rename: Mapping[str, str]) -> Samples:
    """Rename the classes that these samples have."""
    return rename_classes(
        samples, {old: new for old, new in rename.items() if old in samples.task.classes}
    )


def _joined(
    named: Sequence[NamedDataset],
    records: Sequence[Dataset],
    parts: Sequence[Samples],
    rule: PatientRule,
    name: str,
) -> Samples:
    """Join parts; a rule for all is for those without patients and without one of their own."""
    # Ids of samples, and with them of trials, do not tell options.
    names = [split_options(record.name)[0] for record in records]
    own = [one.told.rule if one.tells_patients else None for one in named]
    lacking = [part.patients is None and not has for part, has in zip(parts, own, strict=True)]
    if not rule.table:
        for_all = [rule if lacks or not any(lacking) else PatientRule() for lacks in lacking]
        told = [
            with_told_patients(part, has or rule_of_all, label)
            for part, has, rule_of_all, label in zip(parts, own, for_all, names, strict=True)
        ]
        return join(list(zip(names, told, strict=True)), name)
    # One table for all: it names samples as they are called once joined.
    if not all(lacking):
        raise UsageError(
            f"--patients: some of {name} have patient ids already; specify those of the others by "
            "PREFIX:PATH,patients=FILE.csv"
        )
    return with_told_patients(join(list(zip(names, parts, strict=True)), name), rule, name)


def require_told_patients(opened: Opened, rules: Sequence[SplitRule]) -> None:
    """Refuse to draw a split of data without patient ids.

    Raises:
        DataError: See :func:`mritk.data.patients.require_patients`.
    """
    samples = opened.samples
    if any(resolved_scheme(samples, rule) != "official" for rule in rules):
        samples = replace(samples, splits=None)  # the official parts are of no use then
    require_patients(samples, opened.rule, opened.record.name)


def _reader(name: str, record: Dataset, samples: Samples) -> tuple[str, ...]:
    """Return what besides the files shapes the arrays: the code, its libraries, the options.

    The path of a family's member is not among them.
    """
    _, options = split_options(name)
    return (
        record.name.partition(":")[0],
        record.origin.plugin,
        *(f"{option}={value}" for option, value in sorted(options.items())),
        *(source_digest(function) for function in (record.open, samples.read)),
        digest_of_sources(Path(mritk.reading.__file__)),  # readers of images, tables and volumes
        *library_versions(record.origin.distribution),
        *_reader_within(record),
    )


def _reader_within(record: Dataset) -> tuple[str, ...]:
    """Return the same of the dataset that a family wraps, as far as it is known."""
    inner = record.inner
    if inner is None:
        return ()
    known = inner.origin.plugin, source_digest(inner.open)
    return (*known, *library_versions(inner.origin.distribution), *_reader_within(inner))
