"""Every hook of mritk.

Record hooks (``mritk_backbones`` … ``mritk_explainers``) yield frozen records from
:mod:`mritk.records`; they are called once, when the plugin is loaded, and must not import torch.
Event hooks (``mritk_run_start`` … ``mritk_run_finish``) are called during a run; their return value
is ignored, and one that raises is disabled for the rest of the run without affecting a trial.

A hook implementation may omit arguments that it does not need.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pluggy

from mritk.errors import HookError

if TYPE_CHECKING:
    import click

    from mritk.evaluate.metric import Metric
    from mritk.method import Epoch, Method
    from mritk.records import (
        Alias,
        Architecture,
        Augmentation,
        BackboneFamily,
        BenchmarkFile,
        Dataset,
        DatasetFamily,
        Executor,
        ExecutorFamily,
        Explainer,
        ProtocolFile,
        Weights,
    )
    from mritk.trial import Outcome, Plan, Trial

# Major, minor: another major version is incompatible; a minor version only adds.
INTERFACE = (1, 1)
VERSION = re.compile(r"(\d+)\.(\d+)")

hookspec = pluggy.HookspecMarker("mritk")
hookimpl = pluggy.HookimplMarker("mritk")


@hookspec
def mritk_backbones() -> Iterable[Architecture | Weights | Alias | BackboneFamily]:  # type: ignore[empty-body]
    """Provide backbones: networks that map images to feature vectors, and weights for them.

    Yields:
        An ``Architecture`` provides ``NAME@scratch`` and ``NAME@file:PATH``; each ``Weights`` adds
        ``NAME@ITS_NAME``, also to an architecture of another plugin. A ``BackboneFamily`` creates
        both on demand from ``PREFIX:NAME``; an ``Alias`` is a second name.

    Example:
        @hookimpl
        def mritk_backbones():
            yield Architecture("net", build_net, InputContract(size=96))
            yield Weights("net", "ixi", locate_file, sha256="0f3a9c12", license="CC-BY-4.0")
            yield Alias("n", "net@ixi")
    """


@hookspec
def mritk_datasets() -> Iterable[Dataset | DatasetFamily]:  # type: ignore[empty-body]
    """Provide datasets: tables of samples, and a function to read each sample.

    Yields:
        A ``Dataset`` per name; a ``DatasetFamily`` for names with a path or a member of a
        collection after a prefix, ``PREFIX:PATH``.

    Example:
        @hookimpl
        def mritk_datasets():
            yield Dataset("ours", open_ours, sources=("our hospital",), license="private")
            yield DatasetFamily("scans", resolve=find_scans, placeholder="PATH")
    """


@hookspec
def mritk_augmentations() -> Iterable[Augmentation]:  # type: ignore[empty-body]
    """Provide augmentations of training images.

    Yields:
        One ``Augmentation`` per name. Its function transforms whole batches and draws random
        numbers only from the given generator.

    Example:
        @hookimpl
        def mritk_augmentations():
            yield Augmentation("dim", lambda images, generator: images * 0.8)
            yield Augmentation("dim_any", dim, spatial_dims=(2, 3))
    """


@hookspec
def mritk_methods() -> Iterable[Method]:  # type: ignore[empty-body]
    """Provide methods: how a model is trained and scores samples.

    Yields:
        One ``Method`` per name; protocols select it as ``method``.

    Example:
        @hookimpl
        def mritk_methods():
            yield Method("nearest_centroid", fit_centroids, Parameters, uses_backbone=False)
    """


@hookspec
def mritk_protocols() -> Iterable[ProtocolFile]:  # type: ignore[empty-body]
    """Provide protocols: recipes shared by all backbones of a benchmark.

    Yields:
        One ``ProtocolFile`` per name. Its text has the format of ``--protocol FILE.toml``,
        and is validated when the protocol is used.

    Example:
        @hookimpl
        def mritk_protocols():
            yield ProtocolFile("tiny", lambda: 'method = "linear_probe"\\nimage_size = 64')
    """


@hookspec
def mritk_benchmarks() -> Iterable[BenchmarkFile]:  # type: ignore[empty-body]
    """Provide benchmarks: what is compared, and under which protocols.

    Yields:
        One ``BenchmarkFile`` per name of ``mritk run NAME``. Its text has the format of
        ``mritk run FILE.toml``, and is validated when the benchmark is used.

    Since hooks 1.1.

    Example:
        @hookimpl
        def mritk_benchmarks():
            yield BenchmarkFile("ours", lambda: 'backbones = ["net@ixi"]\\ndatasets = ["ixi"]')
    """


@hookspec
def mritk_metrics() -> Iterable[Metric]:  # type: ignore[empty-body]
    """Provide metrics: numbers computed from stored predictions.

    Yields:
        One ``Metric`` per name. It gets intervals, ties and a place in the regression gate like
        a built-in metric. Names of built-in metrics are refused when metrics are used.

    Example:
        @hookimpl
        def mritk_metrics():
            yield Metric("top_2", "top-2 accuracy", True, hit_in_two, bounds=(0, 1))
    """


@hookspec
def mritk_executors() -> Iterable[Executor | ExecutorFamily]:  # type: ignore[empty-body]
    """Provide executors, which train trials elsewhere than in this process.

    Yields:
        One ``Executor`` per name of ``mritk run --executor NAME --jobs N``; an
        ``ExecutorFamily`` for names with an address.

    Example:
        @hookimpl
        def mritk_executors():
            yield Executor("pool", run_in_pool, summary="a pool of processes")
    """


@hookspec
def mritk_explainers() -> Iterable[Explainer]:  # type: ignore[empty-body]
    """Provide explainers, which attribute an output of a network to its input.

    Yields:
        One ``Explainer`` per name.

    Example:
        @hookimpl
        def mritk_explainers():
            yield Explainer("saliency", absolute_gradient, summary="absolute gradient")
    """


@hookspec
def mritk_commands(cli: click.Group) -> None:
    """Add commands to the ``mritk`` command line.

    Built-in commands cannot be replaced: they are looked up first. Added commands last for one
    call of the program. A plugin that raises here is reported in a warning, and the commands of
    other plugins remain.

    Args:
        cli: A click group, to which commands and groups may be added.

    Example:
        @hookimpl
        def mritk_commands(cli):
            @cli.command()
            @click.argument("name")
            def greet(name):
                "Greet somebody."
                click.echo(f"hello {name}")
    """


@hookspec
def mritk_run_start(plan: Plan) -> None:
    """A run starts: names are resolved, data are read and split, nothing is trained yet.

    Not called by ``--dry-run``, nor if there is nothing to train.

    Args:
        plan: ``plan.trials`` are all trials of the benchmark, ``plan.todo`` those that will be
            trained.

    Example:
        @hookimpl
        def mritk_run_start(plan):
            print(f"{len(plan.todo)} of {len(plan.trials)} trials are to be trained")
    """


@hookspec
def mritk_trial_start(trial: Trial, position: int, total: int) -> None:
    """A trial starts, from scratch or from its checkpoint.

    Args:
        trial: The trial; ``trial.id`` is the name of its file, ``str(trial)`` a one-line
            description.
        position: Number of the trial in this run, starting at 1.
        total: Number of trials in this run.

    Example:
        @hookimpl
        def mritk_trial_start(trial, position, total):
            print(f"trial {position} of {total}: {trial}")
    """


@hookspec
def mritk_epoch_end(trial: Trial, epoch: Epoch) -> None:
    """An epoch has ended; training waits until this returns.

    When a trial is resumed, epochs in its checkpoint are not reported again. A method
    without epochs may never call this. If trials are trained in parallel, their epochs alternate,
    and training does not wait; some executors report the epochs of a trial when it is finished.

    Args:
        trial: The trial.
        epoch: Number, stage, learning rate, losses, value of the selection rule and duration.

    Example:
        @hookimpl
        def mritk_epoch_end(trial, epoch):
            print(trial.id, epoch.epoch, epoch.train_loss, epoch.val_loss)
    """


@hookspec
def mritk_trial_finish(trial: Trial, outcome: Outcome) -> None:
    """A trial has finished or failed, and its file is on disk.

    Not called for an interrupted trial: it has no file yet, only a checkpoint.

    Args:
        trial: The trial.
        outcome: ``outcome.path`` is the trial file; ``outcome.error`` is empty, or a one-line
            reason of the failure; ``outcome.score`` is the leading metric on the test set.

    Example:
        @hookimpl
        def mritk_trial_finish(trial, outcome):
            if outcome.error:
                print(f"{trial} failed: {outcome.error}")
    """


@hookspec
def mritk_run_finish(outcomes: Sequence[Outcome]) -> None:
    """The run has ended, possibly interrupted or stopped by an error.

    Called from a ``finally`` block: close files and connections here.

    Args:
        outcomes: One per trial that ended in this run, failed ones included, in order.

    Example:
        @hookimpl
        def mritk_run_finish(outcomes):
            failed = [outcome for outcome in outcomes if outcome.error]
            print(f"{len(outcomes)} trained, {len(failed)} of them failed")
    """


def require_interface(wanted: object) -> None:
    """Refuse a plugin for incompatible hooks, before it fails obscurely.

    Args:
        wanted: ``MRITK_INTERFACE`` of the plugin, such as ``"1.0"``: the minimum version that it
            needs. None: not declared; it is loaded.

    Raises:
        HookError: It needs a newer minor or another major version, or the text is not a version.
    """
    if wanted is None:
        return
    own = ".".join(map(str, INTERFACE))
    found = VERSION.fullmatch(wanted) if isinstance(wanted, str) else None
    if found is None:
        raise HookError(f"MRITK_INTERFACE is {wanted!r}; write it as '{own}'")
    major, minor = int(found[1]), int(found[2])
    if (major, minor) > INTERFACE:
        remedy = "'python -m pip install --upgrade mritk-bench' may help"
    elif major < INTERFACE[0]:
        remedy = "update the plugin, or ask its author"
    else:
        return
    raise HookError(f"it requires hooks {wanted}, but this mritk has {own}; {remedy}")
