"""The interface of methods: input, result and record."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mritk.data.rank import of_rank
from mritk.errors import UsageError
from mritk.lazy_import import lazy, schema_of
from mritk.records import Record

if TYPE_CHECKING:
    import numpy as np

    from mritk.backbone import Backbone
    from mritk.files.workspace import Workspace
    from mritk.images.grid import GridLike, Size
    from mritk.images.subset import Subset
    from mritk.records import Augmentation
    from mritk.tasks.task import Task


class CheckpointStore(Protocol):
    """Where a method saves its latest checkpoint.

    Attributes:
        due: Whether it is time for another checkpoint, also within an epoch.
        worthwhile: After an epoch: whether a checkpoint would not take too much of the time
            (optional; without it, every epoch is saved).
        folder: For files that a resumed trial finds again, such as those of a program that trains;
            kept until the trial is stored (optional).
    """

    @property
    def due(self) -> bool:
        """See the class."""

    def save(self, state: Mapping[str, Any]) -> None:
        """Save ``state``: tensors and plain data, copied immediately."""

    def load(self) -> dict[str, Any] | None:
        """Return the state of an earlier attempt; None if there is no valid one."""


Precision = Literal["auto", "float32", "bfloat16", "bfloat16_norms"]


@dataclass(frozen=True)
class SelectionRule:
    """Which checkpoint of a training is selected; part of the protocol.

    Attributes:
        on: ``val`` selects the best epoch on the validation set; ``last`` the final one.
            The test set is never used.
        by: ``loss`` (cross-entropy or squared error, without smoothing or weights) or the name of
            a metric.
        ties: Which of two epochs with equal values is selected, the ``earlier`` or the ``later``.
    """

    on: Literal["val", "last"] = "val"
    by: str = "loss"
    ties: Literal["earlier", "later"] = field(
        default="earlier", metadata={"fingerprint": "unless default"}
    )


@dataclass(frozen=True)
class Epoch:
    """One line of a training history.

    Attributes:
        epoch: Number of the epoch over all stages, starting at 1.
        epochs: Total number of planned epochs; 0: no number is planned.
        stage: Name of the training stage.
        learning_rate: Learning rate of the head after the epoch.
        train_loss: Mean training loss.
        val_loss: Validation loss, without smoothing or weights.
        selection: Value of the selection rule on the validation set.
        seconds: Duration.
        extra: Further numbers of the method by name, such as the terms of a loss. NaN is left out.
    """

    epoch: int
    epochs: int
    stage: str
    learning_rate: float
    train_loss: float
    val_loss: float
    selection: float
    seconds: float
    extra: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Keep plain numbers: a name that is not known of an epoch is one that is NaN.

        Those of numpy and torch are no others where an epoch is written down.
        """
        for name in ("learning_rate", "train_loss", "val_loss", "selection", "seconds"):
            object.__setattr__(self, name, float(getattr(self, name)))
        for name in ("epoch", "epochs"):
            object.__setattr__(self, name, int(getattr(self, name)))
        extra = {str(name): float(value) for name, value in self.extra.items()}
        known = {name: value for name, value in extra.items() if not math.isnan(value)}
        object.__setattr__(self, "extra", known)

    @property
    def is_planned(self) -> bool:
        """Whether it is among those planned; a method may plan no number, or exceed it."""
        return self.epoch <= self.epochs

    @property
    def count(self) -> str:
        """Such as ``3/9``; the number alone if it is not among those planned."""
        return f"{self.epoch}/{self.epochs}" if self.is_planned else str(self.epoch)


def ignore_epoch(epoch: Epoch) -> None:
    """Do nothing with an epoch."""


@dataclass(frozen=True, eq=False)
class Setup:
    """The input of a method. It does not contain the test set.

    Attributes:
        parameters: The method's parameters, an instance of ``Method.parameters``.
        task: What is predicted.
        train: The training set.
        val: The validation set, for selection only.
        augmentation: Applied to training batches.
        seed: The trial's seed; derive others with :func:`mritk.seeds.derive`.
        workspace: Where caches are, and whether downloads are allowed.
        backbone: The backbone, or None for a method with its own model.
        image_size: Side of images in pixels; None: as declared by the backbone.
        volume_size: Side of volumes in voxels; None: as declared by the backbone.
        selection: How the checkpoint is selected.
        precision: ``auto`` (bfloat16 autocast on GPUs that support it), ``float32``, ``bfloat16``
            or ``bfloat16_norms`` (LayerNorm, GroupNorm and RMSNorm too).
        deterministic: Use deterministic algorithms on CUDA too.
        device: A torch device, such as ``cpu`` or ``cuda:0``.
        compile: Use torch.compile, if it works. It changes numbers by rounding only, and is not
            part of the protocol.
        graphs: Replay steps as CUDA graphs, likewise.
        checkpoint: Where a method saves its checkpoint, and loads that of an earlier attempt;
            None: no checkpoints.
        on_epoch: To be called after each epoch, before it is in a checkpoint.
        unlabelled: Samples without targets, as ``unlabelled`` in the protocol's ``[split]`` has
            it; None: there are none beside the training set.
    """

    parameters: Any
    task: Task
    train: Subset
    val: Subset
    augmentation: Augmentation
    seed: int
    workspace: Workspace
    backbone: Backbone | None = None
    image_size: int | None = None
    volume_size: int | None = None
    selection: SelectionRule = field(default_factory=SelectionRule)
    precision: Precision = "auto"
    deterministic: bool = False
    device: str = "cpu"
    compile: bool = False
    graphs: bool = False
    checkpoint: CheckpointStore | None = None
    on_epoch: Callable[[Epoch], None] = ignore_epoch
    unlabelled: Subset | None = None

    @property
    def input_size(self) -> Size:
        """The size to which samples are brought, a side or one per axis; None: as they are."""
        dims = self.train.samples.spatial_dims
        chosen = of_rank(dims, self.image_size, self.volume_size)
        return self.backbone.input.size if chosen is None and self.backbone else chosen

    @property
    def input_grid(self) -> GridLike:
        """What ``Subset.images`` and ``masks`` take: the size, and how the backbone fits it."""
        size = self.input_size
        return size if self.backbone is None else self.backbone.input.grid(size)

    def require_backbone(self) -> Backbone:
        """Return the backbone.

        Raises:
            UsageError: There is none.
        """
        if self.backbone is None:
            raise UsageError("this method needs a backbone; specify one with --backbone")
        return self.backbone


class Fitted(Protocol):
    """A trained model.

    The following attributes are optional. If missing, they are missing from the trial
    file too, and the model cannot be stored (``mritk run --keep-models``).

    * ``network``: a ``torch.nn.Module`` that maps a batch normalised by the backbone's input
      contract, (N, C, *spatial), to outputs (N, K). It may be built on demand.
      To be stored it must be a :class:`mritk.model.network.Network` whose head is an
      ``nn.Sequential`` of ``Linear``, ``BatchNorm1d``, ``ReLU`` and ``Dropout``.
    * ``input_shape``: (C, *spatial) of one input, as a tuple.
    * ``output_scaling``: (center, scale) of a regression: a value is ``output · scale + center``.
    * ``embed(subset)``: features of each sample, (N, D), stored with ``mritk run
      --keep-embeddings``, in half precision if that loses nothing that matters.
    * ``spread(subset)``: standard deviation of what is predicted of each sample, (N,), for methods
      that predict a distribution.
    * ``provenance``: a mapping of facts on what it was made by, JSON-serialisable, added to the
      provenance of the trial, such as the packages of another environment.
    * ``model_cost``: a mapping with any of ``parameters``, ``trained_parameters``, ``flops``
      (:func:`mritk.model.flops.count_flops`) and ``latency_seconds``
      (:func:`mritk.model.latency.measure_latency`). By default parameters and operations of
      ``network`` are counted, and its latency is measured.
    """

    def predict(self, subset: Subset) -> np.ndarray:
        """Return float32 logits (N, classes), or values (N,) for a regression.

        For a segmentation return N label maps, whole numbers of the shape of the label map of each
        sample (:func:`mritk.to_sample_grid`); mritk compares them to their references.
        """

    @property
    def notes(self) -> Mapping[str, Any]:
        """Facts for the trial file, JSON-serialisable, such as the match report of the weights."""


@dataclass(frozen=True)
class Method(Record):
    """How a model is trained and scores samples. Yield it from ``mritk_methods``.

    Attributes:
        name: Name in protocols.
        fit: Trains on ``setup.train`` (with ``setup.val`` for selection) and returns an object
            with ``predict(subset)``. It never receives test samples.
        parameters: A frozen dataclass whose fields, types and defaults define the method's table
            in a protocol file. The values are passed as ``setup.parameters``. It may be
            ``lazy("MODULE:CLASS")``.
        uses_backbone: False for a method with its own model; its trials then have the
            backbone ``none``.
        uses_augmentation: False for a method that cannot augment; only ``none`` is then allowed.
        tasks: Kinds of tasks that it can learn, such as ``("segmentation",)``: other data are
            refused before they are read. Empty: any, or ``fit`` refuses them.
        uses_unlabelled: Whether it learns from ``setup.unlabelled``; protocols that give unlabelled
            samples to others are refused.
        check_backbone: Raises :class:`mritk.UsageError` for a backbone that it cannot train, which
            is then refused before data are read. None: it takes any.
    """

    name: str
    fit: Callable[[Setup], Fitted]
    parameters: type[Any] | lazy
    uses_backbone: bool = True
    uses_augmentation: bool = True
    tasks: tuple[str, ...] = ()
    check_backbone: Callable[[Backbone], None] | None = None
    uses_unlabelled: bool = False

    @property
    def schema(self) -> type[Any]:
        """The dataclass of the parameters, imported now."""
        return schema_of(self.parameters)

    def learns(self, kind: str) -> bool:
        """Return whether it is for a kind of task, as far as it declares that."""
        return not self.tasks or kind in self.tasks
