"""Which tensors of a backbone a stage lets change."""

from __future__ import annotations

from mritk.model.backbone import LoadedBackbone
from mritk.model.blocks import Block, last, layers_of, norm_tensors
from mritk.protocol.recipe import Stage


def counted_blocks(loaded: LoadedBackbone, stage: Stage) -> tuple[Block, ...]:
    """Return what ``train_last`` of ``stage`` counts, from input to output."""
    return loaded.stages if stage.unit == "stages" else layers_of(loaded.network)


def trainable_tensors(
    loaded: LoadedBackbone, stage: Stage, share: float | None = None
) -> frozenset[str]:
    """Return the tensors that ``stage`` trains in the last ``share`` of its blocks.

    Args:
        loaded: The backbone, without adapters.
        stage: Says what it tunes.
        share: None: the stage's own.
    """
    blocks = counted_blocks(loaded, stage)
    tensors = last(blocks, stage.train_last if share is None else share) - loaded.fixed
    if stage.tune == "biases":  # "in_proj_bias" of torch's own attention is one too
        tensors = frozenset(t for t in tensors if t.endswith("bias"))
    frozen = stage.batch_norm == "frozen" or stage.tune == "lora"
    return tensors - norm_tensors(loaded.network) if frozen else tensors
