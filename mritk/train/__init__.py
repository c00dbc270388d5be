"""Staged fine-tuning: the training loop, from stage to step, and what methods may use of it.

The names below are public; the modules are not. They load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mritk.lazy_import import lazy_names
from mritk.train.moved import keep_old_names

if TYPE_CHECKING:
    from mritk.batches.inputs import Inputs as Inputs
    from mritk.machine.device import choose_device as choose_device
    from mritk.machine.device import repeatable as repeatable
    from mritk.model.backbone import LoadedBackbone as LoadedBackbone
    from mritk.model.backbone import load_backbone as load_backbone
    from mritk.model.blocks import blocks_of as blocks_of
    from mritk.model.contract import zscore as zscore
    from mritk.model.model_file import load_model as load_model
    from mritk.model.network import Network as Network
    from mritk.model.objective import Objective as Objective
    from mritk.probe.features import FrozenBackbone as FrozenBackbone
    from mritk.probe.logistic import LogisticFit as LogisticFit
    from mritk.probe.logistic import fit_logistic as fit_logistic
    from mritk.probe.ridge import fit_ridge as fit_ridge
    from mritk.protocol.recipe import Probe as Probe
    from mritk.protocol.recipe import Recipe as Recipe
    from mritk.train.fine_tuning import FineTuning as FineTuning
    from mritk.train.loop import finetune as finetune
    from mritk.train.loop import train as train
    from mritk.train.penalties import choose_penalty as choose_penalty
    from mritk.train.selection import BestState as BestState
    from mritk.train.training import Training as Training
    from mritk.train.training import prepare as prepare

_PUBLIC = {
    "mritk.batches.inputs": "Inputs",
    "mritk.machine.device": "choose_device repeatable",
    "mritk.model.backbone": "load_backbone LoadedBackbone",
    "mritk.model.blocks": "blocks_of",
    "mritk.model.contract": "zscore",
    "mritk.model.model_file": "load_model",
    "mritk.model.network": "Network",
    "mritk.model.objective": "Objective",
    "mritk.probe.features": "FrozenBackbone",
    "mritk.probe.logistic": "fit_logistic LogisticFit",
    "mritk.probe.ridge": "fit_ridge",
    "mritk.protocol.recipe": "Probe Recipe",
    "mritk.train.fine_tuning": "FineTuning",
    "mritk.train.loop": "finetune train",
    "mritk.train.penalties": "choose_penalty",
    "mritk.train.selection": "BestState",
    "mritk.train.training": "prepare Training",
}

__all__, __getattr__, __dir__ = lazy_names(__name__, _PUBLIC)


keep_old_names()
