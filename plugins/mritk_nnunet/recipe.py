"""The parameters of ``nnunet``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

SHAPES_NOTHING = {"fingerprint": False}
UNLESS_DEFAULT = {"fingerprint": "unless default"}
CLASS = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class NnunetRecipe:
    """Parameters of the method ``nnunet``; defaults are those of nnunetv2.

    Attributes:
        configuration: ``2d``, ``3d_fullres`` or ``3d_lowres``, as nnU-Net plans them.
        trainer: Its class that trains, such as ``nnUNetTrainer`` or ``nnUNetTrainerNoDA``.
        planner: Its class that plans, such as ``ExperimentPlanner`` or ``nnUNetPlannerResEncM``.
        epochs: Number of epochs.
        iterations: Batches of an epoch.
        val_iterations: Validation batches of an epoch.
        regions: ``auto``: trained on the task's regions where each is within the one before, with
            one label more; ``labels``: on labels.
        mirroring: Whether predictions are means over mirrored volumes.
        base_features: Features of the first stage, doubled in each further one, at most those of
            the plan; 0: those of the plan.
        version: Of nnunetv2, which must then be that of its environment, or ``sha256:DIGEST`` of
            its image; empty: any.
        save_every: Epochs between its checkpoints.
        workers: Processes that load data; 0: as nnU-Net chooses.
        hours: Each of its programs may take so many; 0: any time.
        silent_minutes: And so many without a line in its log; 0: any time.
    """

    configuration: Literal["2d", "3d_fullres", "3d_lowres"] = "3d_fullres"
    trainer: str = "nnUNetTrainer"
    planner: str = "ExperimentPlanner"
    epochs: int = 1000
    iterations: int = 250
    val_iterations: int = 50
    regions: Literal["auto", "labels"] = "auto"
    mirroring: bool = True
    base_features: int = field(default=0, metadata=UNLESS_DEFAULT)
    version: str = field(default="", metadata=UNLESS_DEFAULT)
    save_every: int = field(default=10, metadata=SHAPES_NOTHING)
    workers: int = field(default=0, metadata=SHAPES_NOTHING)
    hours: float = field(default=0.0, metadata=SHAPES_NOTHING)
    silent_minutes: float = field(default=120.0, metadata=SHAPES_NOTHING)

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        for name in ("epochs", "iterations", "val_iterations", "save_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("base_features", "workers", "hours", "silent_minutes"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        for name in ("trainer", "planner"):
            if not CLASS.fullmatch(getattr(self, name)):
                raise ValueError(f"{name} must be the name of a class of nnunetv2")
