"""The plan of a benchmark: which trials there are, and what is known of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product

import numpy as np

from mritk.audit.audit import Audit, audit
from mritk.audit.image_index import ImageIndex, Progress, silent
from mritk.audit.label_maps import with_label_maps
from mritk.backbone import SCRATCH, Backbone
from mritk.data.rank import has_grid, of_rank
from mritk.data.samples import Samples, UnreadableSamples
from mritk.errors import DataError, UsageError
from mritk.files.workspace import Workspace
from mritk.images.decode import Decoding, decode_all
from mritk.images.decoded_size import require_room_for
from mritk.images.label_maps import require_label_maps, require_regions
from mritk.plugins.registry import Registry
from mritk.protocol.protocol import Protocol
from mritk.protocol.variation import Changes
from mritk.records import Dataset
from mritk.splits.split_rule import fold_count, known_fold_count, resolved_scheme
from mritk.splits.splits import make_folds
from mritk.store.folder import ResultsFolder
from mritk.study.benchmark import Benchmark, find_protocol
from mritk.study.candidate import Alone, Candidate
from mritk.study.data_options import DataOptions
from mritk.study.opening import Opened, find_datasets, open_datasets, require_told_patients
from mritk.study.refusals import (
    require_fit,
    require_folds,
    require_large_enough,
    require_learnable,
    require_selectable,
    require_selection,
    require_size,
    require_storable,
    require_unlabelled_use,
)
from mritk.study.rehearsal import Rehearsal, without_weights
from mritk.trial import OpenDataset, Plan, Trial


@dataclass(frozen=True, eq=False)
class StudyPlan(Plan):
    """The plan of a benchmark, and what its making has found.

    Attributes:
        audits: The audit of each dataset that lies on a grid, by its name.
        benchmarks: By trial id: a benchmark whose plan is that trial alone.
    """

    audits: Mapping[str, Audit] = field(default_factory=dict)
    benchmarks: Mapping[str, Benchmark] = field(default_factory=dict)


def ignore_names(backbones: Sequence[Backbone]) -> None:
    """Do nothing with the backbones of a plan."""


@dataclass(frozen=True)
class Planner:
    """Resolves the names of a benchmark into trials.

    Attributes:
        registry: Knows the names.
        workspace: Where caches are.
        skip_unreadable: Continue without samples that cannot be read.
        progress: Told what is being done, and the share of it that is done.
        deterministic: Plan every protocol in its deterministic form.
        on_names: Called with the backbones when all names are known and reading begins.
        decode: Whether images are decoded to the disk; else it is only told what that would take.
        expected: Digests that the samples of a benchmark of one dataset had when another process
            planned it, see :attr:`OpenDataset.digests`: what is kept of them is not read again.
    """

    registry: Registry
    workspace: Workspace
    skip_unreadable: bool = False
    progress: Progress = silent
    deterministic: bool = False
    on_names: Callable[[Sequence[Backbone]], None] = ignore_names
    decode: bool = True
    expected: Sequence[str] = ()

    def plan(self, benchmark: Benchmark, results: ResultsFolder) -> StudyPlan:
        """Return the plan of ``benchmark``.

        Every name is resolved, every dataset opened, audited, read and split before the first
        training.

        Raises:
            UnknownName: A name that nobody provides.
            DataError: Unreadable samples, or a split that cannot be made.
            UsageError: Nothing to compare, or a fold that does not exist.
        """
        varied = benchmark.recipes()
        protocols = [find_protocol(name, self.registry, changes) for name, changes in varied]
        if self.deterministic:
            protocols = [replace(protocol, deterministic=True) for protocol in protocols]
        backbones = self._require_names(benchmark, protocols)
        self.on_names(backbones)
        if benchmark.rehearse:
            benchmark = replace(benchmark, seeds=benchmark.seeds[:1], folds=(0,))
            rehearsal = Rehearsal.of(backbones, self.workspace)
            protocols = [rehearsal.of_protocol(protocol) for protocol in protocols]
        trials: dict[str, Trial] = {}
        parts: dict[str, tuple[Benchmark, Candidate]] = {}
        audits: dict[str, Audit] = {}
        opened_datasets = open_datasets(
            benchmark.datasets, self.registry, self.workspace, benchmark.data
        )
        for name, opened in zip(benchmark.datasets, opened_datasets, strict=True):
            record = opened.record
            require_storable("dataset", [record.name])
            candidates = [
                self._candidates(benchmark, record, opened.samples, protocol, backbones)
                for protocol in protocols
            ]
            require_told_patients(opened, [p.split for p in protocols])
            found = self._audit(opened)
            index = found.datasets[0].index if found is not None else None
            identified = opened.identified(index, self.expected)
            if found is not None:
                found = audits[record.name] = with_label_maps(found, identified)
            samples, skipped = self._read(identified, index, protocols, backbones)
            for recipe, protocol, compared in zip(varied, protocols, candidates, strict=True):
                divided = _divided(opened, samples, skipped, protocol, found)
                narrow = _narrowed(benchmark, name, opened.told, *recipe)
                for trial, candidate in self._trials(benchmark, divided, protocol, compared):
                    trials.setdefault(trial.id, trial)
                    parts.setdefault(trial.id, (narrow, candidate))
        if not trials:
            raise UsageError("nothing to run: specify a backbone, a dataset and a protocol")
        ordered = sorted(trials.values(), key=lambda trial: (trial.seed, trial.fold))
        alone = Alone(trials, parts)
        states = results.states(trials)
        return StudyPlan(tuple(ordered), states, audits=audits, benchmarks=alone)

    def _require_names(
        self, benchmark: Benchmark, protocols: Sequence[Protocol]
    ) -> Sequence[Backbone]:
        """Refuse what can be refused before data are opened; return the backbones."""
        for protocol in protocols:
            if (count := known_fold_count(protocol.split)) is not None:
                require_folds(benchmark, count, protocol)
        backbones = self._backbones(benchmark)
        require_storable("protocol", [protocol.name for protocol in protocols])
        require_storable("backbone", [backbone.name for backbone in backbones])
        require_storable("augmentation", benchmark.augmentations)
        for name in benchmark.augmentations:
            self.registry.augmentation(name)
        methods = [self.registry.method(protocol.method) for protocol in protocols]
        for protocol, method in zip(protocols, methods, strict=True):
            require_unlabelled_use(protocol, method)
        for check in (method.check_backbone for method in methods if method.check_backbone):
            for backbone in backbones:
                check(backbone)
        for architecture in {name for protocol in protocols for name in protocol.normalise_again}:
            # A name that nothing bears would change nothing.
            self.registry.backbone(f"{architecture}@{SCRATCH}")
        for name in benchmark.datasets:
            find_datasets(name, self.registry, benchmark.data.instructions)
        return backbones

    def _backbones(self, benchmark: Benchmark) -> Sequence[Backbone]:
        if benchmark.rehearse:
            return without_weights(benchmark.backbones, self.registry)
        return [self.registry.backbone(name) for name in benchmark.backbones]

    def _audit(self, opened: Opened) -> Audit | None:
        """Audit a dataset; None if its data do not lie on a grid."""
        if not has_grid(opened.samples.spatial_dims):
            return None
        return audit([opened.for_audit()], self.workspace, self.progress, self.expected)

    def _candidates(
        self,
        benchmark: Benchmark,
        record: Dataset,
        samples: Samples,
        protocol: Protocol,
        backbones: Sequence[Backbone],
    ) -> list[Candidate]:
        """Return what is compared on one dataset under one protocol.

        Raises:
            UsageError: A backbone, augmentation or metric that does not suit the data or method; a
                fold that does not exist.
        """
        require_folds(benchmark, fold_count(samples, protocol.split), protocol, record)
        method = self.registry.method(protocol.method)
        require_learnable(record, samples, protocol, method, self.registry)
        names = benchmark.augmentations or (protocol.augmentation,)
        chosen: list[tuple[str, Backbone | None]] = [("", None)]
        if method.uses_backbone:
            # A rehearsal looks at all backbones to find its size, so no name stands for itself.
            asked = [""] * len(backbones) if benchmark.rehearse else benchmark.backbones
            given = [_given(backbone, protocol) for backbone in backbones]
            chosen = list(zip(asked, given, strict=True))
        augmentations = [self.registry.augmentation(name) for name in names]
        candidates = [
            Candidate(backbone, augmentation, name)
            for (name, backbone), augmentation in product(chosen, augmentations)
        ]
        for candidate in candidates:
            augmentation = candidate.augmentation
            require_fit(record, samples, candidate.backbone, augmentation, self.registry)
            if candidate.backbone is not None:
                require_size(samples, candidate.backbone, protocol)
            if augmentation.apply is not None and not method.uses_augmentation:
                raise UsageError(
                    f"method {method.name} does not support augmentation {augmentation.name!r}; "
                    "use --augmentation none, or another protocol"
                )
        require_selectable(protocol, record, samples)
        return candidates

    def _trials(
        self,
        benchmark: Benchmark,
        dataset: OpenDataset,
        protocol: Protocol,
        candidates: Sequence[Candidate],
    ) -> Iterator[tuple[Trial, Candidate]]:
        method = self.registry.method(protocol.method)
        folds = benchmark.folds or range(len(dataset.folds))
        # Fewer than foreseen, if all samples of a site were skipped.
        require_folds(benchmark, len(dataset.folds), protocol, dataset.record)
        for fold in folds:
            require_selection(dataset, protocol, fold)
        for seed, fold, one in product(benchmark.seeds, folds, candidates):
            trial = Trial(dataset, one.backbone, one.augmentation, method, protocol, fold, seed)
            yield trial, one

    def _read(
        self,
        samples: Samples,
        index: ImageIndex | None,
        protocols: Sequence[Protocol],
        backbones: Sequence[Backbone],
    ) -> tuple[Samples, tuple[str, ...]]:
        """Read all samples, so that what cannot be read is known before training.

        Returns:
            The samples that can be read, and the ids of those that were skipped on request.

        Raises:
            UnreadableSamples: Some cannot be read, and nobody asked to skip them.
        """
        skipped: list[str] = []
        shapes = dict(zip(samples.ids, index.shapes, strict=True)) if index is not None else {}
        while True:
            try:
                _ = samples.contents  # tells what could not be read
                as_read = [shapes.get(name, ()) for name in samples.ids]
                require_label_maps(samples, as_read)
                for protocol, backbone in self._pairs(protocols, backbones):
                    require_large_enough(samples, as_read, backbone, protocol)
                require_regions(samples)
                if index is not None:
                    wanted = self._decodings(samples, protocols, backbones)
                    require_room_for(samples, wanted, index.shapes, index.modes, self.workspace)
                    if self.decode:
                        told = partial(self.progress, "decoding")
                        decode_all(samples, wanted, self.workspace, told)
                return samples, tuple(skipped)
            except UnreadableSamples as error:
                if not self.skip_unreadable:
                    raise
                skipped += [samples.ids[row] for row in error.rows]
                samples = samples.only(np.setdiff1d(np.arange(len(samples)), error.rows))

    def _decodings(
        self, samples: Samples, protocols: Sequence[Protocol], backbones: Sequence[Backbone]
    ) -> list[Decoding]:
        wanted = set()
        for protocol, backbone in self._pairs(protocols, backbones):
            size = of_rank(samples.spatial_dims, protocol.image_size, protocol.volume_size)
            contract = backbone.input
            grid = contract.grid(size or contract.size)
            wanted.add(Decoding(grid, contract.interpolation, protocol.preprocessing))
        return sorted(wanted, key=str)

    def _pairs(
        self, protocols: Sequence[Protocol], backbones: Sequence[Backbone]
    ) -> Iterator[tuple[Protocol, Backbone]]:
        """Yield each protocol that trains backbones with each of them, as it gives it images."""
        for protocol, backbone in product(protocols, backbones):
            if self.registry.method(protocol.method).uses_backbone:
                yield protocol, _given(backbone, protocol)


def _narrowed(
    benchmark: Benchmark, dataset: str, told: DataOptions, protocol: str, changes: Changes
) -> Benchmark:
    # A class that another dataset has would be missed in this one, and patients that are told of
    # another one refused.
    vary = {key: [value] for key, value in changes.items()}
    return replace(benchmark, datasets=(dataset,), data=told, protocols=(protocol,), vary=vary)


def _given(backbone: Backbone, protocol: Protocol) -> Backbone:
    """Return the backbone with the input contract that the protocol asks for."""
    normalised = backbone.normalised(protocol.normalisation, protocol.normalise_again)
    return normalised.resized(protocol.resize)


def _divided(
    opened: Opened,
    samples: Samples,
    skipped: Sequence[str],
    protocol: Protocol,
    found: Audit | None,
) -> OpenDataset:
    """Divide the samples that can be read under one protocol, copies kept together."""
    copies = None
    if found is not None:
        left_out = set(skipped)
        readable = [name not in left_out for name in opened.samples.ids]
        copies = found.copies.clusters[np.asarray(readable)]
    scheme = resolved_scheme(opened.samples, protocol.split)
    if scheme != resolved_scheme(samples, protocol.split):
        raise DataError(
            f"no sample in the official test set of {opened.record.name} is readable; repair the "
            "files, or draw a test set in the protocol's [split]"
        )
    try:
        folds = make_folds(samples, protocol.split, copies)
    except DataError as error:
        raise DataError(f"{opened.record.name}: {error}") from error
    return OpenDataset(opened.record, samples, folds, tuple(skipped), found, copies, opened.reader)
