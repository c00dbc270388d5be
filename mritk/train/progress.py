"""How far a fine-tuning is: what a checkpoint keeps beside the state of the stage that runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mritk.train.memory import MemoryEstimate
from mritk.train.selection import BestState

# What a checkpoint holds by the same names; the engine is that of the process that resumes.
PLAIN = ("epoch", "seconds", "images_seen", "micro_batch", "changed", "recalibrated")


@dataclass
class Progress:
    """What a fine-tuning has done so far.

    Attributes:
        best: The best state by the selection rule.
        epoch: Number of complete epochs.
        changed: Per complete stage, the names of the tensors that changed in it.
        seconds: Time spent in training epochs, without validation.
        images_seen: Number of images that this took.
        micro_batch: Images that go through the network at once; 0: whole batches.
        recalibrated: Number of BatchNorm layers that were measured anew.
        memory: The largest estimate of a stage; None if there is none.
        engine: How the steps of the last complete stage were computed.
    """

    best: BestState
    epoch: int = 0
    changed: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0
    images_seen: int = 0
    micro_batch: int = 0
    recalibrated: int = 0
    memory: MemoryEstimate | None = None
    engine: str = "eager"

    def expect(self, estimate: MemoryEstimate | None, batch_size: int) -> None:
        """Take in the estimate of a stage that is about to begin; the largest one stays."""
        if estimate is None:
            return
        if self.memory is None or estimate.at(batch_size) > self.memory.at(batch_size):
            self.memory = estimate

    def state(self, stage: Mapping[str, Any]) -> dict[str, Any]:
        """Return what :meth:`resume` takes; ``stage`` is the state of the one that runs."""
        return {
            **{name: getattr(self, name) for name in PLAIN},
            "footprint": asdict(self.memory) if self.memory else None,
            "best": self.best.state(),
            "run": stage,
        }

    def resume(self, saved: Mapping[str, Any]) -> Mapping[str, Any]:
        """Resume from a :meth:`state`; return that of the stage that was running."""
        for name in PLAIN:
            setattr(self, name, saved[name])
        self.memory = MemoryEstimate(**saved["footprint"]) if saved["footprint"] else None
        self.best.load(saved["best"])
        return saved["run"]
