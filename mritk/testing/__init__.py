"""Checks of what plugins promise, for their authors.

``check_backbone`` and its like find broken promises and raise an ``AssertionError`` that lists
them. The fixtures of :mod:`mritk.pytest_plugin` come with pytest, once mritk is installed.
``mritk plugins check NAME`` makes the same checks from the command line.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mritk.testing.augmentation import check_augmentation as check_augmentation
    from mritk.testing.backbone import check_backbone as check_backbone
    from mritk.testing.check import Nonconforming as Nonconforming
    from mritk.testing.dataset import check_dataset as check_dataset
    from mritk.testing.executor import check_executor as check_executor
    from mritk.testing.explainer import check_explainer as check_explainer
    from mritk.testing.method import check_method as check_method
    from mritk.testing.metric import check_metric as check_metric
    from mritk.testing.tiny import tiny_architecture as tiny_architecture
    from mritk.testing.tiny import tiny_dataset as tiny_dataset
    from mritk.testing.tiny import tiny_samples as tiny_samples

_HOME = {
    "check_augmentation": "augmentation",
    "check_backbone": "backbone",
    "Nonconforming": "check",
    "check_dataset": "dataset",
    "check_executor": "executor",
    "check_explainer": "explainer",
    "check_method": "method",
    "check_metric": "metric",
    "tiny_architecture": "tiny",
    "tiny_dataset": "tiny",
    "tiny_samples": "tiny",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    # pytest imports this package at its start; what needs numpy or torch waits until it is used.
    if name not in _HOME:
        raise AttributeError(f"module 'mritk.testing' has no attribute {name!r}")
    return getattr(import_module(f"mritk.testing.{_HOME[name]}"), name)
