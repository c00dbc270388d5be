"""One trial: dataset × backbone × augmentation × protocol × fold × seed, from start to file."""

from __future__ import annotations

import hashlib
import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mritk.audit.audit import Audit
from mritk.audit.findings import shared_sources
from mritk.audit.verdict import verdict
from mritk.backbone import Backbone
from mritk.data.fold import Fold, fold_digest
from mritk.data.samples import Classification, Samples
from mritk.data.split_rule import resolved_scheme
from mritk.data.subset import Subset
from mritk.errors import ExitCode, MritkError
from mritk.protocol import Protocol
from mritk.records import Augmentation, Dataset, Method
from mritk.results.trialfile import Failure, Predictions, TrialRecord
from mritk.train.setup import Epoch, Fitted, Setup
from mritk.workspace import Workspace

OWN_MODEL = "none"


@dataclass(frozen=True, eq=False)
class OpenDataset:
    """A dataset whose samples are open and whose folds are drawn.

    Attributes:
        record: Where the samples came from.
        samples: The samples.
        folds: The division under one protocol.
        skipped: Ids of samples that could not be read and were left out on request.
        audit: What was found in the data; None if they do not lie on a grid.
        copies: (N,) int64; samples with equal numbers are copies of each other.
    """

    record: Dataset
    samples: Samples
    folds: tuple[Fold, ...]
    skipped: tuple[str, ...] = ()
    audit: Audit | None = None
    copies: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Trial:
    """One training that is planned, and all it needs."""

    dataset: OpenDataset
    backbone: Backbone | None
    augmentation: Augmentation
    method: Method
    protocol: Protocol
    fold: int
    seed: int

    @property
    def backbone_name(self) -> str:
        """The backbone's canonical name; ``none`` if the method brings its own model."""
        return self.backbone.name if self.backbone else OWN_MODEL

    @property
    def scheme(self) -> str:
        """The split scheme that the protocol comes to on this dataset."""
        return resolved_scheme(self.dataset.samples, self.protocol.split)

    @property
    def division(self) -> Fold:
        """The parts of the data in this trial's fold."""
        return self.dataset.folds[self.fold]

    @property
    def seen_in_pretraining(self) -> tuple[str, ...]:
        """The collections that both the dataset and the backbone's pretraining declare."""
        weights = self.backbone.weights if self.backbone else None
        seen = weights.pretrained_on if weights else ()
        told = set(self.dataset.samples.sources or ()) - set(self.dataset.record.sources)
        return shared_sources((*self.dataset.record.sources, *sorted(told)), seen)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What makes this trial another than all others: contents, never paths or hosts."""
        return {
            "dataset": self.dataset.samples.fingerprint,
            "backbone": self.backbone.identity if self.backbone else OWN_MODEL,
            "augmentation": self.augmentation.name,
            "protocol": self.protocol.fingerprint,
            "fold": self.fold,
            "seed": self.seed,
            # What counts as a copy may change with the audit, and the parts with it.
            "split": fold_digest(self.dataset.samples, self.division),
            "unclean": self._unclean(),
            # One-file plugins change from run to run; a trial of an earlier state is another one.
            "plugins": [self.augmentation.origin.digest, self.method.origin.digest],
        }

    def _unclean(self) -> list[str]:
        rows = self.division.test[~self.division.clean]
        return sorted(self.dataset.samples.ids[row] for row in rows)

    @cached_property
    def id(self) -> str:
        """The first 20 hexadecimal digits of the SHA-256 of the identity."""
        canonical = json.dumps(self.identity, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:20]

    def __str__(self) -> str:
        fold = f" fold {self.fold}" if len(self.dataset.folds) > 1 else ""
        return f"{self.backbone_name} on {self.dataset.record.name}{fold} seed {self.seed}"


@dataclass(frozen=True)
class Outcome:
    """What became of a trial.

    Attributes:
        trial: The trial.
        path: Its file.
        error: One line for a person, or empty.
        exit_code: What the error amounts to.
        seconds: How long it took.
    """

    trial: Trial
    path: Path
    error: str = ""
    exit_code: ExitCode = ExitCode.OK
    seconds: float = 0.0


@dataclass
class _Clock:
    """Seconds per phase."""

    seconds: dict[str, float] = field(default_factory=dict)
    _started: float = field(default_factory=time.perf_counter)

    def lap(self, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[phase], self._started = now - self._started, now


def run_trial(
    trial: Trial,
    workspace: Workspace,
    device: str,
    provenance: dict[str, Any],
    on_epoch: Callable[[Epoch], None],
) -> tuple[TrialRecord, MritkError | Exception | None]:
    """Train and score one trial.

    A failure is a result too: whatever the method raises becomes a record with status ``failed``.
    ``KeyboardInterrupt`` passes through.

    Returns:
        The record to be stored, and the exception of a failed trial.
    """
    history: list[Epoch] = []
    clock = _Clock()
    record = _start_record(trial, provenance)

    def keep(epoch: Epoch) -> None:
        history.append(epoch)
        on_epoch(epoch)

    error: Exception | None = None
    try:
        _reset_peak(device)
        fitted = trial.method.fit(_setup(trial, workspace, device, keep))
        clock.lap("fit")
        _score(trial, fitted, workspace, record)
        clock.lap("predict")
        record.status = "finished"
    except (Exception, SystemExit) as failure:
        error = failure if isinstance(failure, Exception) else MritkError(f"SystemExit: {failure}")
        record.status = "failed"
        record.failure = Failure(
            type(failure).__name__, str(failure), traceback.format_exc(), len(history)
        )
    record.history = history
    times = {f"seconds_{phase}": seconds for phase, seconds in clock.seconds.items()}
    record.cost = times | _cost(record.notes, device)
    return record, error


def _reset_peak(device: str) -> None:
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats(device)


def _setup(
    trial: Trial, workspace: Workspace, device: str, on_epoch: Callable[[Epoch], None]
) -> Setup:
    protocol, fold = trial.protocol, trial.division
    return Setup(
        parameters=protocol.parameters,
        task=trial.dataset.samples.task,
        train=Subset.of(trial.dataset.samples, fold.train, workspace),
        val=Subset.of(trial.dataset.samples, fold.val, workspace),
        augmentation=trial.augmentation,
        seed=trial.seed,
        workspace=workspace,
        backbone=trial.backbone,
        image_size=protocol.image_size,
        volume_size=protocol.volume_size,
        selection=protocol.selection,
        precision=protocol.precision,
        deterministic=protocol.deterministic,
        device=device,
        on_epoch=on_epoch,
    )


def _score(trial: Trial, fitted: Fitted, workspace: Workspace, record: TrialRecord) -> None:
    samples, fold = trial.dataset.samples, trial.division
    # The only place where test samples meet a model, once, after training has ended.
    for part, rows in (("val", fold.val), ("test", fold.test)):
        subset = Subset.of(samples, rows, workspace)
        scores = np.asarray(fitted.predict(subset), dtype=np.float32)
        classes = isinstance(samples.task, Classification)
        expected = (len(subset), samples.task.outputs) if classes else (len(subset),)
        if scores.shape != expected:
            raise MritkError(
                f"method {trial.method.name} scored {part} with shape {scores.shape}, "
                f"not {expected}"
            )
        clean = fold.clean if part == "test" else None
        record.predictions[part] = Predictions.of(subset.samples, scores, clean)
    record.notes = dict(getattr(fitted, "notes", {}))


def _start_record(trial: Trial, provenance: dict[str, Any]) -> TrialRecord:
    samples, fold = trial.dataset.samples, trial.division
    parts = {part: getattr(fold, part) for part in ("train", "val", "test", "dropped", "unused")}
    return TrialRecord(
        id=trial.id,
        dataset=trial.dataset.record.name,
        dataset_fingerprint=samples.fingerprint,
        backbone=trial.backbone_name,
        augmentation=trial.augmentation.name,
        method=trial.method.name,
        protocol=trial.protocol.name,
        fingerprint=trial.protocol.fingerprint,
        protocol_json=trial.protocol.canonical_json(),
        scheme=trial.scheme,
        folds=len(trial.dataset.folds),
        fold=trial.fold,
        seed=trial.seed,
        task=samples.task,
        grouped=samples.patients is not None,
        splits={name: [samples.ids[i] for i in rows] for name, rows in parts.items()},
        skipped=list(trial.dataset.skipped),
        audit=verdict(
            trial.dataset.audit,
            samples,
            fold,
            trial.protocol.split,
            copies=trial.dataset.copies,
            seen=trial.seen_in_pretraining,
        ),
        provenance=provenance | {"plugins": _origins(trial)},
    )


def _origins(trial: Trial) -> dict[str, str]:
    """Who provided each part of the trial."""
    records = {
        "dataset": trial.dataset.record,
        "augmentation": trial.augmentation,
        "method": trial.method,
    }
    if trial.backbone is not None:
        records["architecture"] = trial.backbone.architecture
        if trial.backbone.weights is not None:
            records["weights"] = trial.backbone.weights
    return {part: str(record.origin) for part, record in records.items()}


def _cost(notes: dict[str, Any], device: str) -> dict[str, float]:
    cost = {}
    if sys.platform.startswith("linux"):
        import resource

        # In KiB; the peak of the process so far, not of this trial alone.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        cost["peak_host_memory_bytes"] = 1024.0 * peak
    if "images_per_second" in notes:
        cost["images_per_second"] = float(notes["images_per_second"])
    if device.startswith("cuda"):
        import torch

        cost["peak_device_memory_bytes"] = float(torch.cuda.max_memory_allocated(device))
    return cost
