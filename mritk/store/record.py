"""What is stored of one trial, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from mritk import errors
from mritk.backbone import OWN_MODEL
from mritk.data.rank import is_volume
from mritk.data.samples import Samples
from mritk.errors import one_line
from mritk.evaluate.measured import measured
from mritk.evaluate.metric import Metric
from mritk.evaluate.metrics import of_any_region
from mritk.evaluate.segmentation import region_names
from mritk.method import Epoch
from mritk.protocol.evaluation import evaluation_fingerprint
from mritk.protocol.stored import StoredProtocol
from mritk.store.label_maps import LabelMaps
from mritk.tasks.task import Task

N = TypeVar("N")


@dataclass(eq=False)
class Predictions:
    """Scores of one part, with what is needed to recompute every number.

    Attributes:
        id: Sample ids.
        patient: Patient ids, ``""`` where unknown; ``site`` and ``source`` likewise.
        target: (N,) int64 or float64.
        score: (N, classes) float32 logits, or (N,) float32 values; of a segmentation (N, columns)
            float64 scores of each case, NaN where undefined.
        clean: (N,) bool, samples without a copy, or another image of their patient, in training
            and validation as they were before anything was dropped; None where unknown.
        unit: What belongs together and is resampled as one: samples of one patient, and copies of
            each other. Each unit is named after one of its samples. Where a file does not tell,
            the patient, or else the sample itself.
        cases: What the columns of ``score`` are called for a segmentation, such as ``dice[WT]``.
        masks: The predicted label maps of a segmentation's test part, and ``references`` the true
            ones; None where they are not stored.
        embedding: (N, D) float16 or float32 features of each sample, stored on request.
        spread: (N,) float64 standard deviation of what is predicted, where the method tells it.
        covariates: Further columns of the data by name, (N,) float64 or texts.
        unknown: Names of ``cases`` whose stored scores are not those of today's definition and
            could not be measured anew; they are NaN.
    """

    id: list[str]
    patient: list[str]
    site: list[str]
    source: list[str]
    target: np.ndarray
    score: np.ndarray
    clean: np.ndarray | None = None
    unit: list[str] = field(default_factory=list)
    cases: tuple[str, ...] = ()
    masks: LabelMaps | None = None
    references: LabelMaps | None = None
    embedding: np.ndarray | None = None
    spread: np.ndarray | None = None
    covariates: dict[str, np.ndarray] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.unit) != len(self.id):
            pairs = zip(self.patient, self.id, strict=True)
            self.unit = [f"patient {patient}" if patient else name for patient, name in pairs]

        self._measured: dict[str, np.ndarray] = {}

    def scores_for(self, metric: Metric, task: Task) -> np.ndarray:
        """Return the scores that a metric takes, (N, ...): those stored, or what it measures.

        What it measures of label maps that are not stored is NaN. Label maps are measured once.
        """
        if metric.measure is None:
            return self.score
        name = of_any_region(metric.name)
        if name not in self._measured:
            if self.masks is None or self.references is None:
                regions = len(region_names(task))
                self._measured[name] = np.full((len(self.id), regions), np.nan)
            else:
                spacing = [self.references.spacing_of(row) for row in range(len(self.id))]
                self._measured[name] = measured(metric, task, self.masks, self.references, spacing)
        return self._measured[name]

    @property
    def known_clean(self) -> np.ndarray:
        """``clean``, (N,) bool; all samples where that is unknown."""
        return np.ones(len(self.id), dtype=bool) if self.clean is None else self.clean

    def only(self, rows: np.ndarray) -> Predictions:
        """Return those of ``rows``: positions in that order, or a mask of N truth values."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        kept: dict[str, Any] = {}
        for name in (column.name for column in fields(self)):
            column = kept[name] = getattr(self, name)
            if isinstance(column, list):
                kept[name] = [column[row] for row in rows]
            elif isinstance(column, np.ndarray):
                kept[name] = column[rows]
            elif isinstance(column, LabelMaps):
                kept[name] = column.only(rows)
            elif isinstance(column, dict):
                kept[name] = {key: values[rows] for key, values in column.items()}
        return Predictions(**kept)

    @classmethod
    def of(
        cls,
        samples: Samples,
        score: np.ndarray,
        clean: np.ndarray | None = None,
        unit: Sequence[str] = (),
    ) -> Predictions:
        """Return the predictions of ``samples`` with these scores."""
        unknown = [""] * len(samples)
        return cls(
            list(samples.ids),
            list(samples.patients or unknown),
            list(samples.sites or unknown),
            list(samples.sources or unknown),
            samples.targets,
            score,
            clean,
            list(unit),
            covariates={name: np.asarray(values) for name, values in samples.covariates.items()},
        )


@dataclass(frozen=True)
class Failure:
    """Why a trial failed, and after how many complete epochs."""

    type: str
    message: str
    traceback: str
    epoch: int

    @property
    def reason(self) -> str:
        """What was raised, in one line as the run tells it; errors of mritk in their own words."""
        words, kind = one_line(self.message), getattr(errors, self.type, None)
        own = isinstance(kind, type) and issubclass(kind, errors.MritkError)
        if words and (own or not self.traceback):
            return words
        return f"{self.type}: {words}" if words else self.type


@dataclass(eq=False, kw_only=True, slots=True)
class TrialIdentity:
    """Which trial it is: what was trained on what, and by which protocol."""

    status: str = "running"
    id: str
    dataset: str
    dataset_fingerprint: str
    backbone: str
    augmentation: str
    method: str
    protocol: str
    fingerprint: str
    scheme: str
    folds: int
    fold: int
    seed: int
    grouped: bool
    task: Task
    protocol_json: str
    audit: dict[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether it was trained to its end."""
        return self.status == "finished"

    @property
    def scored(self) -> bool:
        """Whether it was trained to its end and tells the scores of its test set."""
        return self.finished and self.task.has_scores

    @property
    def stored_protocol(self) -> StoredProtocol:
        """The protocol, ready to answer."""
        return _protocol(self.protocol_json)

    @property
    def evaluation(self) -> str:
        """Digest of what belongs to the evaluation: trials that share it can be ranked together."""
        return evaluation_fingerprint(self.protocol_json, self.scheme)


@dataclass(eq=False, kw_only=True)
class TrialRecord(TrialIdentity):
    """The content of a trial file.

    Attributes:
        without_model: Why its network is not stored, although it was to be and could be.
    """

    splits: dict[str, list[str]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    history: list[Epoch] = field(default_factory=list)
    predictions: dict[str, Predictions] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    failure: Failure | None = None
    without_model: str = ""

    @property
    def volumes(self) -> bool | None:
        """Whether samples are volumes, not images; None where its file does not tell."""
        # Earlier files tell it of backbones alone.
        contract = self.provenance.get("input_contract", {})
        dims = self.provenance.get("spatial_dims", contract.get("spatial_dims"))
        return None if dims is None else is_volume(dims)

    def note(self, name: str, kind: type[N] | tuple[type[N], ...]) -> N | None:
        """Return a note, if it is of this kind: a method may note something else by its name."""
        found = self.notes.get(name)
        return found if isinstance(found, kind) else None

    @property
    def own_model(self) -> bool:
        """Whether the method has a model of its own, and no backbone."""
        return self.backbone == OWN_MODEL


@lru_cache(maxsize=256)
def _protocol(text: str) -> StoredProtocol:
    return StoredProtocol.from_json(text)
