"""A benchmark: the matrix of what is compared, and the plan of its trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import numpy as np

from mritk.backbone import Backbone
from mritk.data.decode import UnreadableSamples, decoded
from mritk.data.samples import Samples
from mritk.data.splits import make_folds
from mritk.errors import DataError, Unavailable, UsageError
from mritk.protocol import Protocol, read_protocol
from mritk.records import Augmentation, Dataset
from mritk.registry import Registry
from mritk.results.folder import ResultsFolder
from mritk.tomltext import TomlText
from mritk.trial import OpenDataset, Trial
from mritk.workspace import Workspace

KINDS = {2: "images", 3: "volumes", None: "data without a grid"}


def find_protocol(name: str, registry: Registry) -> Protocol:
    """Return the protocol of that name, or the one in the file of that name (``FILE.toml``).

    Raises:
        UnknownName: Nobody provides it, or its method.
        ProtocolError: The text has an unknown key or a value of the wrong type.
        Unavailable: The file does not exist.
    """
    if not name.endswith(".toml"):
        source = TomlText(registry.protocol(name).text(), f"protocol {name}")
        return read_protocol(name, source, registry.method)
    path = Path(name)
    if not path.is_file():
        raise Unavailable(f"no protocol file {name}; 'mritk list protocols' shows built-in ones")
    source = TomlText(path.read_text(encoding="utf-8"), name)
    return read_protocol(path.stem, source, registry.method)


@dataclass(frozen=True)
class Benchmark:
    """What is compared: every combination of these is trained once.

    Attributes:
        backbones: Names.
        datasets: Names.
        protocols: Names or paths of TOML files.
        augmentations: Names; empty: what each protocol names.
        seeds: Seeds of the trials.
        folds: Fold numbers; empty: all folds of the protocol's split.
    """

    backbones: tuple[str, ...] = (
        "efficientnet_lite0@imagenet",
        "efficientnet_lite0@scratch",
        "small_cnn@scratch",
    )
    datasets: tuple[str, ...] = ("phantom",)
    protocols: tuple[str, ...] = ("quick",)
    augmentations: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1)
    folds: tuple[int, ...] = ()

    @classmethod
    def from_file(cls, path: Path) -> Benchmark:
        """Read a benchmark from a TOML file whose keys are the attributes of this class.

        Protocol files are looked up beside the benchmark file.

        Raises:
            Unavailable: There is no such file.
            ProtocolError: It has an unknown key or a value of the wrong type.
        """
        if not path.is_file():
            raise Unavailable(f"no benchmark file {path}")
        source = TomlText(path.read_text(encoding="utf-8"), str(path))
        benchmark = source.into(cls, source.parse())
        beside = tuple(
            str(path.parent / name) if name.endswith(".toml") else name
            for name in benchmark.protocols
        )
        return replace(benchmark, protocols=beside)


@dataclass(frozen=True, eq=False)
class Plan:
    """The trials of a benchmark, and what is known of each.

    Attributes:
        trials: All trials, in the order in which they run: seed by seed, so that a run that is
            stopped early has compared all backbones.
        states: By trial id: ``absent``, ``finished``, ``failed`` or ``damaged``.
    """

    trials: tuple[Trial, ...]
    states: Mapping[str, str] = field(default_factory=dict)

    @property
    def todo(self) -> tuple[Trial, ...]:
        """The trials that are not finished; one that failed before is tried again."""
        return tuple(t for t in self.trials if self.states.get(t.id) != "finished")


@dataclass(frozen=True)
class Planner:
    """Resolves the names of a benchmark into trials."""

    registry: Registry
    workspace: Workspace
    skip_unreadable: bool = False

    def plan(self, benchmark: Benchmark, results: ResultsFolder) -> Plan:
        """Return the plan of ``benchmark``.

        Every name is resolved, every dataset opened, read and split before the first training.

        Raises:
            UnknownName: A name that nobody provides.
            DataError: Unreadable samples, or a split that cannot be made.
            UsageError: Nothing to compare, or a fold that does not exist.
        """
        protocols = [find_protocol(name, self.registry) for name in benchmark.protocols]
        backbones = {}
        if any(self.registry.method(protocol.method).uses_backbone for protocol in protocols):
            backbones = {name: self.registry.backbone(name) for name in benchmark.backbones}
        for name in benchmark.augmentations:
            self.registry.augmentation(name)
        datasets = [self.registry.dataset(name) for name in benchmark.datasets]
        trials: dict[str, Trial] = {}
        for record in datasets:
            samples, skipped = self._open(record, protocols, list(backbones.values()))
            for protocol in protocols:
                opened = OpenDataset(record, samples, make_folds(samples, protocol.split), skipped)
                for trial in self._trials(benchmark, opened, protocol, backbones):
                    trials.setdefault(trial.id, trial)
        if not trials:
            raise UsageError("there is nothing to run: name a backbone, a dataset and a protocol")
        ordered = sorted(trials.values(), key=lambda trial: (trial.seed, trial.fold))
        return Plan(tuple(ordered), {id_: results.status(id_) for id_ in trials})

    def _trials(
        self,
        benchmark: Benchmark,
        dataset: OpenDataset,
        protocol: Protocol,
        backbones: Mapping[str, Backbone],
    ) -> Iterator[Trial]:
        method = self.registry.method(protocol.method)
        folds = benchmark.folds or range(len(dataset.folds))
        for fold in folds:
            if not 0 <= fold < len(dataset.folds):
                raise UsageError(
                    f"there is no fold {fold}: protocol {protocol.name} makes "
                    f"{len(dataset.folds)} on {dataset.record.name}, numbered from 0"
                )
        chosen: Sequence[Backbone | None] = (
            list(backbones.values()) if method.uses_backbone else [None]
        )
        names = benchmark.augmentations or (protocol.augmentation,)
        augmentations = [self.registry.augmentation(name) for name in names]
        for backbone, augmentation in product(chosen, augmentations):
            _require_fit(dataset, backbone, augmentation)
        for seed, fold, backbone, augmentation in product(
            benchmark.seeds, folds, chosen, augmentations
        ):
            yield Trial(dataset, backbone, augmentation, method, protocol, fold, seed)

    def _open(
        self, record: Dataset, protocols: Sequence[Protocol], backbones: Sequence[Backbone]
    ) -> tuple[Samples, tuple[str, ...]]:
        """Open a dataset and decode it, so that what cannot be read is known before training."""
        samples = record.open(self.workspace)
        if not len(samples):
            raise DataError(f"dataset {record.name} has no samples")
        if samples.spatial_dims is None:
            return samples, ()
        try:
            self._decode(samples, protocols, backbones)
        except UnreadableSamples as error:
            if not self.skip_unreadable:
                raise
            kept = np.setdiff1d(np.arange(len(samples)), error.rows)
            skipped = tuple(samples.ids[row] for row in error.rows)
            samples = samples.only(kept)
            self._decode(samples, protocols, backbones)
            return samples, skipped
        return samples, ()

    def _decode(
        self, samples: Samples, protocols: Sequence[Protocol], backbones: Sequence[Backbone]
    ) -> None:
        wanted = set()
        for protocol, backbone in product(protocols, backbones):
            if not self.registry.method(protocol.method).uses_backbone:
                continue
            size = protocol.image_size if samples.spatial_dims == 2 else protocol.volume_size
            wanted.add((size or backbone.input.size, backbone.input.interpolation))
        for size, interpolation in sorted(wanted, key=str):
            decoded(samples, size, interpolation, self.workspace)


def _require_fit(
    dataset: OpenDataset, backbone: Backbone | None, augmentation: Augmentation
) -> None:
    """Refuse a combination that could only fail later.

    Raises:
        UsageError: The backbone or the augmentation takes data of another kind.
    """
    dims = dataset.samples.spatial_dims
    held = f"{dataset.record.name} holds {KINDS[dims]}"
    if backbone is not None and backbone.architecture.spatial_dims != dims:
        takes = KINDS[backbone.architecture.spatial_dims]
        raise UsageError(f"{backbone.name} takes {takes}, but {held}")
    if augmentation.apply is not None and dims not in augmentation.spatial_dims:
        raise UsageError(
            f"augmentation {augmentation.name} does not transform {KINDS[dims]}, but {held}; "
            f"use --augmentation none"
        )
