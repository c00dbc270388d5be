"""Checks of what plugins promise, for their authors.

``check_backbone`` and its like find broken promises and raise an ``AssertionError`` that lists
them. The fixtures of :mod:`mritk.pytest_plugin` come with pytest, once mritk is installed.
``mritk plugins check NAME`` makes the same checks from the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mritk.lazy_import import lazy_names

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

_PUBLIC = {
    "mritk.testing.augmentation": "check_augmentation",
    "mritk.testing.backbone": "check_backbone",
    "mritk.testing.check": "Nonconforming",
    "mritk.testing.dataset": "check_dataset",
    "mritk.testing.executor": "check_executor",
    "mritk.testing.explainer": "check_explainer",
    "mritk.testing.method": "check_method",
    "mritk.testing.metric": "check_metric",
    "mritk.testing.tiny": "tiny_architecture tiny_dataset tiny_samples",
}

__all__, __getattr__, __dir__ = lazy_names(__name__, _PUBLIC)
