"""Staged fine-tuning: the training loop, from stage to step, and what methods may use of it.

The names below are public; the modules are not. They load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mritk.train.moved import keep_old_names

if TYPE_CHECKING:
    from mritk.batches.inputs import Inputs as Inputs
    from mritk.machine.device import choose_device as choose_device
    from mritk.machine.device import repeatable as repeatable
    from mritk.model.backbone import LoadedBackbone as LoadedBackbone
    from mritk.model.backbone import load_backbone as load_backbone
    from mritk.model.model_file import load_model as load_model
    from mritk.model.network import Network as Network
    from mritk.model.objective import Objective as Objective
    from mritk.probe.features import FrozenBackbone as FrozenBackbone
    from mritk.probe.logistic import LogisticFit as LogisticFit
    from mritk.probe.logistic import fit_logistic as fit_logistic
    from mritk.probe.ridge import fit_ridge as fit_ridge
    from mritk.protocol.recipe import Probe as Probe
    from mritk.protocol.recipe import Recipe as Recipe
    from mritk.train.loop import finetune as finetune
    from mritk.train.selection import BestState as BestState

_HOME = {
    "Inputs": "mritk.batches.inputs",
    "choose_device": "mritk.machine.device",
    "repeatable": "mritk.machine.device",
    "LoadedBackbone": "mritk.model.backbone",
    "load_backbone": "mritk.model.backbone",
    "load_model": "mritk.model.model_file",
    "Network": "mritk.model.network",
    "Objective": "mritk.model.objective",
    "FrozenBackbone": "mritk.probe.features",
    "LogisticFit": "mritk.probe.logistic",
    "fit_logistic": "mritk.probe.logistic",
    "fit_ridge": "mritk.probe.ridge",
    "Probe": "mritk.protocol.recipe",
    "Recipe": "mritk.protocol.recipe",
    "finetune": "mritk.train.loop",
    "BestState": "mritk.train.selection",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mritk.train' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__


keep_old_names()
