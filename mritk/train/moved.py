"""Modules of this package that plugins of interface 1.0 imported, and where each has gone."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from mritk.errors import PluginDeprecationWarning

MOVED = {
    "mritk.train.adapters": "mritk.model.lora",
    "mritk.train.allocator": "mritk.machine.allocator",
    "mritk.train.backbone": "mritk.model.backbone",
    "mritk.train.contract": "mritk.model.contract",
    "mritk.train.device": "mritk.machine.device",
    "mritk.train.energy": "mritk.machine.energy",
    "mritk.train.engine": "mritk.machine.engine",
    "mritk.train.features": "mritk.probe.features",
    "mritk.train.flops": "mritk.model.flops",
    "mritk.train.frozen_features": "mritk.probe.frozen_features",
    "mritk.train.head_layout": "mritk.model.head_layout",
    "mritk.train.inputs": "mritk.batches.inputs",
    "mritk.train.latency": "mritk.model.latency",
    "mritk.train.logistic": "mritk.probe.logistic",
    "mritk.train.mixing": "mritk.batches.mixing",
    "mritk.train.model_file": "mritk.model.model_file",
    "mritk.train.network": "mritk.model.network",
    "mritk.train.objective": "mritk.model.objective",
    "mritk.train.onnx_file": "mritk.model.onnx_export",
    "mritk.train.peak_memory": "mritk.machine.peak_memory",
    "mritk.train.recipe": "mritk.protocol.recipe",
    "mritk.train.resident": "mritk.batches.resident",
    "mritk.train.ridge": "mritk.probe.ridge",
    "mritk.train.seeding": "mritk.machine.seeding",
    "mritk.train.setup": "mritk.method",
    "mritk.train.stages": "mritk.model.blocks",
    "mritk.train.threads": "mritk.machine.threads",
    "mritk.train.transfer": "mritk.batches.transfer",
    "mritk.train.views": "mritk.batches.views",
    "mritk.train.watch": "mritk.train.divergence",
    "mritk.train.weights": "mritk.model.weights",
}


class _Deferring(Loader):
    """Makes a module that has what another one has."""

    def __init__(self, home: str) -> None:
        self._home = home

    def exec_module(self, module: ModuleType) -> None:
        home = import_module(self._home)
        module.__dict__["__getattr__"] = lambda name: getattr(home, name)


class MovedModules(MetaPathFinder):
    """Finds moved modules by their old names, with a warning at the import."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module that defers to the one that has its content now."""
        if name not in MOVED:
            return None
        warnings.warn(
            PluginDeprecationWarning(
                f"the module {name}",
                instead="import its names from mritk or mritk.train",
                removed_in="1.1",
            ),
            stacklevel=2,
        )
        return ModuleSpec(name, _Deferring(MOVED[name]))


def keep_old_names() -> None:
    """Let old names be imported; behind all other finders, so that nothing else gets slower."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(MovedModules())
