"""Every hook of mritk.

Nouns (``mritk_backbones`` … ``mritk_explainers``) yield frozen records from :mod:`mritk.records`;
they are called once, when the plugin is loaded, and must not import torch. Moments
(``mritk_run_start`` … ``mritk_run_finish``) tell what happens in a run; what they return is
ignored, and one that raises is switched off for the rest of the run without harming a trial.

A hook implementation may leave out arguments it does not need.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from mritk.benchmark import Plan
    from mritk.evaluate.metric import Metric
    from mritk.records import (
        Alias,
        Architecture,
        Augmentation,
        BackboneFamily,
        Dataset,
        DatasetFamily,
        Executor,
        Explainer,
        Method,
        ProtocolFile,
        Weights,
    )
    from mritk.train.setup import Epoch
    from mritk.trial import Outcome, Trial

# Major, minor: a plugin for another major version does not work; a minor version only adds.
INTERFACE = (1, 0)

hookspec = pluggy.HookspecMarker("mritk")
hookimpl = pluggy.HookimplMarker("mritk")


@hookspec
def mritk_backbones() -> Iterable[Architecture | Weights | Alias | BackboneFamily]:  # type: ignore[empty-body]
    """Yield architectures, weights for them, aliases, and families of both."""


@hookspec
def mritk_datasets() -> Iterable[Dataset | DatasetFamily]:  # type: ignore[empty-body]
    """Yield datasets, and families of datasets."""


@hookspec
def mritk_augmentations() -> Iterable[Augmentation]:  # type: ignore[empty-body]
    """Yield augmentations."""


@hookspec
def mritk_methods() -> Iterable[Method]:  # type: ignore[empty-body]
    """Yield training methods."""


@hookspec
def mritk_protocols() -> Iterable[ProtocolFile]:  # type: ignore[empty-body]
    """Yield protocols as TOML texts."""


@hookspec
def mritk_metrics() -> Iterable[Metric]:  # type: ignore[empty-body]
    """Yield metrics of stored predictions."""


@hookspec
def mritk_executors() -> Iterable[Executor]:  # type: ignore[empty-body]
    """Yield executors, which train trials elsewhere than in this process."""


@hookspec
def mritk_explainers() -> Iterable[Explainer]:  # type: ignore[empty-body]
    """Yield explainers, which attribute an output of a network to its input."""


@hookspec
def mritk_commands(cli: click.Group) -> None:
    """Add commands to the ``mritk`` command line."""


@hookspec
def mritk_run_start(plan: Plan) -> None:
    """A run begins; ``plan.todo`` holds the trials that will be trained."""


@hookspec
def mritk_trial_start(trial: Trial, position: int, total: int) -> None:
    """Trial number ``position`` (from 1) of ``total`` begins."""


@hookspec
def mritk_epoch_end(trial: Trial, epoch: Epoch) -> None:
    """An epoch of ``trial`` has ended."""


@hookspec
def mritk_trial_finish(trial: Trial, outcome: Outcome) -> None:
    """The trial file is on disk; ``outcome.error`` tells whether the trial failed."""


@hookspec
def mritk_run_finish(outcomes: Sequence[Outcome]) -> None:
    """The run has ended, also when it was interrupted."""
