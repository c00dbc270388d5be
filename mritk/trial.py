"""A trial (dataset × backbone × augmentation × protocol × fold × seed), a plan of trials, and the
outcome of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mritk.audit.audit import Audit
from mritk.audit.findings import shared_sources
from mritk.backbone import OWN_MODEL, Backbone
from mritk.data.rank import of_rank
from mritk.data.samples import Samples
from mritk.errors import ExitCode, one_line
from mritk.images.grid import Size
from mritk.method import Method
from mritk.protocol.protocol import Protocol
from mritk.records import Augmentation, Dataset
from mritk.splits.fold import Fold, fold_digest
from mritk.splits.split_rule import resolved_scheme
from mritk.store.trial_state import TrialState
from mritk.text.visible import visible

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, eq=False)
class OpenDataset:
    """A dataset whose samples are open and whose folds are drawn.

    Attributes:
        record: The dataset of the samples.
        samples: The samples.
        folds: The folds under one protocol.
        skipped: Ids of unreadable samples, skipped on request.
        audit: Findings in the data; None if they are not images.
        copies: (N,) int64; samples with equal numbers are duplicates of each other.
        reader: The code, libraries and options that read the samples.
    """

    record: Dataset
    samples: Samples
    folds: tuple[Fold, ...]
    skipped: tuple[str, ...] = ()
    audit: Audit | None = None
    copies: np.ndarray | None = None
    reader: tuple[str, ...] = ()

    @property
    def digests(self) -> tuple[str, ...]:
        """Content digest of each sample, used as cache key; empty: unreadable."""
        if self.audit is None:
            return self.samples.contents
        return self.audit.datasets[0].index.contents

    @cached_property
    def fold_digests(self) -> tuple[str, ...]:
        """The digest of each fold; see :func:`mritk.splits.fold.fold_digest`."""
        return tuple(fold_digest(self.samples, fold) for fold in self.folds)

    @cached_property
    def made_from(self) -> dict[str, str]:
        """What is tested if the samples hold some that were made from others.

        The name of the dataset that these are, its fingerprint, and what made more of it; empty for
        other data.
        """
        inner, originals = self.record.inner, self.samples.originals
        if inner is None or len(originals) == len(self.samples):
            return {}
        by = self.record.name.replace(f":{inner.name}", "", 1)
        return {
            "dataset": inner.name,
            "fingerprint": self.samples.only(originals).fingerprint,
            "by": by,
        }

    @cached_property
    def unclean(self) -> tuple[list[str], ...]:
        """For each fold, the sorted ids of test samples that have a copy in training."""
        return tuple(
            sorted(self.samples.ids[row] for row in fold.test[~fold.clean]) for fold in self.folds
        )


@dataclass(frozen=True, eq=False)
class Trial:
    """A planned training, with everything it needs.

    Attributes:
        dataset: The dataset, opened, audited and split into folds.
        backbone: The backbone, or None for a method with its own model.
        augmentation: Applied to training batches.
        method: The training method.
        protocol: The recipe, with the method's parameters.
        fold: Number of the fold, starting at 0.
        seed: The seed of all random draws of the training.
    """

    dataset: OpenDataset
    backbone: Backbone | None
    augmentation: Augmentation
    method: Method
    protocol: Protocol
    fold: int
    seed: int

    @property
    def backbone_name(self) -> str:
        """The backbone's canonical name; ``none`` if the method has its own model."""
        return self.backbone.name if self.backbone else OWN_MODEL

    @property
    def scheme(self) -> str:
        """The split scheme of the protocol, resolved for this dataset."""
        return resolved_scheme(self.dataset.samples, self.protocol.split)

    @property
    def input_size(self) -> Size:
        """The size to which samples are brought, a side or one per axis; None: as they are."""
        dims = self.dataset.samples.spatial_dims
        chosen = of_rank(dims, self.protocol.image_size, self.protocol.volume_size)
        return self.backbone.input.size if chosen is None and self.backbone else chosen

    @property
    def division(self) -> Fold:
        """Training, validation and test set of this trial's fold."""
        return self.dataset.folds[self.fold]

    @property
    def seen_in_pretraining(self) -> tuple[str, ...]:
        """The collections declared by both the dataset and the backbone's pretraining."""
        weights = self.backbone.weights if self.backbone else None
        seen = weights.pretrained_on if weights else ()
        told = set(self.dataset.samples.sources or ()) - set(self.dataset.record.sources)
        return shared_sources((*self.dataset.record.sources, *sorted(told)), seen)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """The identity of this trial: contents, never paths or hosts."""
        return {
            "dataset": self.dataset.samples.fingerprint,
            "backbone": self.backbone.identity if self.backbone else OWN_MODEL,
            "augmentation": self.augmentation.identity,
            "protocol": self.protocol.fingerprint,
            "fold": self.fold,
            "seed": self.seed,
            # What counts as a copy may change with the audit, and the parts with it.
            "split": self.dataset.fold_digests[self.fold],
            "unclean": self.dataset.unclean[self.fold],
            # One-file plugins change from run to run; a trial of an earlier state is another one.
            "plugins": [self.augmentation.origin.digest, self.method.origin.digest],
            **self._spacing(),
        }

    def _spacing(self) -> dict[str, Any]:
        """The spacing of the samples, if the backbone's input depends on it."""
        spacing = self.dataset.samples.spacing
        if self.backbone is None or self.backbone.input.spacing is None or spacing is None:
            return {}
        order = np.argsort(np.asarray(self.dataset.samples.ids))
        return {"spacing": spacing[order].tolist()}

    @cached_property
    def id(self) -> str:
        """The first 20 hexadecimal digits of the SHA-256 of the identity."""
        canonical = json.dumps(self.identity, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:20]

    def __str__(self) -> str:
        fold = f" fold {self.fold}" if len(self.dataset.folds) > 1 else ""
        return visible(f"{self.backbone_name} on {self.dataset.record.name}{fold} seed {self.seed}")


@dataclass(frozen=True, eq=False)
class Plan:
    """The trials of a run, and the state of each.

    Attributes:
        trials: All trials, in execution order.
        states: The state of each trial in the results folder, by its id.
        stamps: What :func:`mritk.execute.claim.stamp_of` says of the files that are to be replaced,
            by trial id; a finished file with another stamp, or of another trial, is kept.
    """

    trials: tuple[Trial, ...]
    states: Mapping[str, TrialState] = field(default_factory=dict)
    stamps: Mapping[str, int] = field(default_factory=dict)

    @property
    def todo(self) -> tuple[Trial, ...]:
        """The trials to train; failed ones are retried."""
        states = self.states
        return tuple(t for t in self.trials if states.get(t.id, TrialState.ABSENT).to_train)

    @property
    def backbones_to_train(self) -> tuple[Backbone, ...]:
        """The backbones of the trials to train, each once."""
        return tuple({t.backbone.name: t.backbone for t in self.todo if t.backbone}.values())

    def in_state(self, *states: TrialState) -> tuple[Trial, ...]:
        """Return the trials in one of these states."""
        return tuple(t for t in self.trials if self.states.get(t.id, TrialState.ABSENT) in states)

    def stamp(self, trial: Trial) -> int:
        """Return the stamp of the file that is to be replaced by that of a trial; 0: none is."""
        return self.stamps.get(trial.id, 0)

    def again(self, stamps: Mapping[str, int]) -> Self:
        """Return the plan that retrains all trials, except those with an inaccessible file.

        ``stamps`` are those of their files now.
        """
        kept = (TrialState.NEWER, TrialState.UNREADABLE)
        states = {i: s if s in kept else TrialState.ABSENT for i, s in self.states.items()}
        return replace(self, states=states, stamps=stamps)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial.

    Attributes:
        trial: The trial.
        path: Its file.
        error: One-line message, or empty.
        exit_code: The exit code for the error.
        seconds: Duration.
        score: The leading metric on the test set, formatted; empty if it failed.
        without_model: Why its network is not stored, although it was to be and could be.
    """

    trial: Trial
    path: Path
    error: str = ""
    exit_code: ExitCode = ExitCode.OK
    seconds: float = 0.0
    score: str = ""
    without_model: str = ""

    def __post_init__(self) -> None:
        """Make what went wrong one line each that a terminal can show."""
        for name in ("error", "without_model"):
            object.__setattr__(self, name, visible(one_line(getattr(self, name))))
