"""How trials are computed on this machine; none of it is in the identity of a trial."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Engine:
    """Where and how to compute.

    Attributes:
        device: A torch device, such as ``cpu`` or ``cuda:0``.
        compile: Compile networks with torch.compile, if that works.
        graphs: Replay training steps and batches of evaluation as CUDA graphs; None: on a GPU.
        checkpoint_seconds: The longest time within an epoch without a checkpoint.
        keep_embeddings: Whether the features of each sample are stored with its scores.
        checkpoint_share: What checkpoints after epochs may take of the time: an epoch of few images
            may take no longer than writing the network.
    """

    device: str = "cpu"
    compile: bool = False
    graphs: bool | None = None
    checkpoint_seconds: float = 300.0
    keep_embeddings: bool = False
    checkpoint_share: float = 0.05

    @property
    def replays(self) -> bool:
        """Whether graphs are replayed on this device."""
        return self.device.startswith("cuda") if self.graphs is None else self.graphs
