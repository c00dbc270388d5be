"""Which tensors of a backbone a stage lets change."""

from __future__ import annotations

from mritk.model.backbone import LoadedBackbone
from mritk.model.stages import BackboneStage, last, layers_of, norm_tensors
from mritk.protocol.recipe import Stage


def units_of(loaded: LoadedBackbone, stage: Stage) -> tuple[BackboneStage, ...]:
    """Return what ``stage`` counts, from input to output."""
    return loaded.stages if stage.unit == "stages" else layers_of(loaded.network)


def trainable_tensors(
    loaded: LoadedBackbone, stage: Stage, share: float | None = None
) -> frozenset[str]:
    """Return the tensors that ``stage`` trains in the last ``share`` of its units.

    Args:
        loaded: The backbone, without adapters.
        stage: Says what it tunes.
        share: None: the stage's own.
    """
    units = units_of(loaded, stage)
    tensors = last(units, stage.train_last if share is None else share) - loaded.fixed
    if stage.tune == "biases":  # "in_proj_bias" of torch's own attention is one too
        tensors = frozenset(t for t in tensors if t.endswith("bias"))
    frozen = stage.batch_norm == "frozen" or stage.tune == "lora"
    return tensors - norm_tensors(loaded.network) if frozen else tensors
