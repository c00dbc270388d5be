"""Every hook of mritk.

Nouns (``mritk_backbones`` … ``mritk_explainers``) yield frozen records from :mod:`mritk.records`;
they are called once, when the plugin is loaded, and must not import torch. Moments
(``mritk_run_start`` … ``mritk_run_finish``) tell what happens in a run; what they return is
ignored, and one that raises is switched off for the rest of the run without harming a trial.

A hook implementation may leave out arguments it does not need.
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
        Explainer,
        ProtocolFile,
        Weights,
    )
    from mritk.trial import Outcome, Plan, Trial

# Major, minor: a plugin for another major version does not work; a minor version only adds.
INTERFACE = (1, 1)
VERSION = re.compile(r"(\d+)\.(\d+)")

hookspec = pluggy.HookspecMarker("mritk")
hookimpl = pluggy.HookimplMarker("mritk")


@hookspec
def mritk_backbones() -> Iterable[Architecture | Weights | Alias | BackboneFamily]:  # type: ignore[empty-body]
    """Provide backbones: networks that turn images into feature vectors, and weights for them.

    Yields:
        An ``Architecture`` gives ``NAME@scratch`` and ``NAME@file:PATH``; each ``Weights`` adds
        ``NAME@ITS_NAME``, also to an architecture of another plugin. A ``BackboneFamily`` makes
        both on demand from ``PREFIX:NAME``, an ``Alias`` is a second name.

    Example:
        @hookimpl
        def mritk_backbones():
            yield Architecture("net", build_net, InputContract(size=96))
            yield Weights("net", "ixi", locate_file, sha256="0f3a9c12", license="CC-BY-4.0")
            yield Alias("n", "net@ixi")
    """


@hookspec
def mritk_datasets() -> Iterable[Dataset | DatasetFamily]:  # type: ignore[empty-body]
    """Provide datasets: tables of samples, and a way to read each of them.

    Yields:
        A ``Dataset`` for each name that stands for one set; a ``DatasetFamily`` where a path or a
        member of a collection follows a prefix, ``PREFIX:PATH``.

    Example:
        @hookimpl
        def mritk_datasets():
            yield Dataset("ours", open_ours, sources=("our hospital",), license="private")
            yield DatasetFamily("scans", resolve=find_scans, placeholder="PATH")
    """


@hookspec
def mritk_augmentations() -> Iterable[Augmentation]:  # type: ignore[empty-body]
    """Provide augmentations: how images of the training part are varied.

    Yields:
        One ``Augmentation`` for each name. Its function works on whole batches and draws from the
        generator that it is handed, and from nothing else.

    Example:
        @hookimpl
        def mritk_augmentations():
            yield Augmentation("dim", lambda images, generator: images * 0.8)
            yield Augmentation("dim_any", dim, spatial_dims=(2, 3))
    """


@hookspec
def mritk_methods() -> Iterable[Method]:  # type: ignore[empty-body]
    """Provide methods: how a model is trained, and how it scores samples.

    Yields:
        One ``Method`` for each name that a protocol may give as ``method``.

    Example:
        @hookimpl
        def mritk_methods():
            yield Method("nearest_centroid", fit_centroids, Parameters, uses_backbone=False)
    """


@hookspec
def mritk_protocols() -> Iterable[ProtocolFile]:  # type: ignore[empty-body]
    """Provide protocols: recipes that all backbones of a benchmark share.

    Yields:
        One ``ProtocolFile`` for each name. Its text is what ``--protocol FILE.toml`` would read,
        and is checked when the protocol is used.

    Example:
        @hookimpl
        def mritk_protocols():
            yield ProtocolFile("tiny", lambda: 'method = "linear_probe"\\nimage_size = 64')
    """


@hookspec
def mritk_benchmarks() -> Iterable[BenchmarkFile]:  # type: ignore[empty-body]
    """Provide benchmarks: what is compared with what, and under which protocols.

    Yields:
        One ``BenchmarkFile`` for each name of ``mritk run NAME``. Its text is what
        ``mritk run FILE.toml`` would read, and is checked when the benchmark is used.

    Since hooks 1.1.

    Example:
        @hookimpl
        def mritk_benchmarks():
            yield BenchmarkFile("ours", lambda: 'backbones = ["net@ixi"]\\ndatasets = ["ixi"]')
    """


@hookspec
def mritk_metrics() -> Iterable[Metric]:  # type: ignore[empty-body]
    """Provide metrics: numbers computed from the predictions that trial files hold.

    Yields:
        One ``Metric`` for each name. It gets intervals, ties and a place in the gate like mritk's
        own. A name of mritk's own is refused when metrics are used.

    Example:
        @hookimpl
        def mritk_metrics():
            yield Metric("top_2", "top-2 accuracy", True, hit_in_two, bounds=(0, 1))
    """


@hookspec
def mritk_executors() -> Iterable[Executor]:  # type: ignore[empty-body]
    """Provide executors: where trials are trained when it is not in this process.

    Yields:
        One ``Executor`` for each name of ``mritk run --executor NAME --jobs N``.

    Example:
        @hookimpl
        def mritk_executors():
            yield Executor("pool", run_in_pool, summary="a pool of processes")
    """


@hookspec
def mritk_explainers() -> Iterable[Explainer]:  # type: ignore[empty-body]
    """Provide explainers: how an output of a network is attributed to its input.

    Yields:
        One ``Explainer`` for each name.

    Example:
        @hookimpl
        def mritk_explainers():
            yield Explainer("saliency", absolute_gradient, summary="absolute gradient")
    """


@hookspec
def mritk_commands(cli: click.Group) -> None:
    """Add commands to the ``mritk`` command line.

    A command of mritk itself cannot be replaced: the names of mritk are looked up first. What is
    added is gone after the call of the program. A plugin that raises here is named in a warning,
    and the commands of the others stay.

    Args:
        cli: A click group, to which commands and groups of commands may be added.

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
    """A run begins: names are resolved, data read and divided, nothing is trained yet.

    Not called by ``--dry-run``, nor where nothing is left to do.

    Args:
        plan: ``plan.trials`` are all trials of the benchmark, ``plan.todo`` those that will be
            trained now.

    Example:
        @hookimpl
        def mritk_run_start(plan):
            print(f"{len(plan.todo)} of {len(plan.trials)} trials are to be trained")
    """


@hookspec
def mritk_trial_start(trial: Trial, position: int, total: int) -> None:
    """A trial begins, from the start or from its checkpoint.

    Args:
        trial: What is trained; ``trial.id`` is the name of its file, ``str(trial)`` one line for a
            person.
        position: Number of the trial in this run, from 1.
        total: Number of trials in this run.

    Example:
        @hookimpl
        def mritk_trial_start(trial, position, total):
            print(f"trial {position} of {total}: {trial}")
    """


@hookspec
def mritk_epoch_end(trial: Trial, epoch: Epoch) -> None:
    """An epoch has ended; the training waits until this returns.

    Epochs that a checkpoint holds are not told again when a stopped trial resumes. A method
    without epochs may never call this. Where an executor trains (``--jobs``), a trial is told
    when it is done, with all its epochs.

    Args:
        trial: What is trained.
        epoch: Number, stage, learning rate, losses, value of the selection rule and duration.

    Example:
        @hookimpl
        def mritk_epoch_end(trial, epoch):
            print(trial.id, epoch.epoch, epoch.train_loss, epoch.val_loss)
    """


@hookspec
def mritk_trial_finish(trial: Trial, outcome: Outcome) -> None:
    """A trial has ended, and its file is on disk, also if it failed.

    Not called for a trial that a person interrupts: it has no file yet, only a checkpoint.

    Args:
        trial: What was trained.
        outcome: ``outcome.path`` is the trial file; ``outcome.error`` is empty, or one line that
            says why the trial failed; ``outcome.score`` is the leading metric of the test part.

    Example:
        @hookimpl
        def mritk_trial_finish(trial, outcome):
            if outcome.error:
                print(f"{trial} failed: {outcome.error}")
    """


@hookspec
def mritk_run_finish(outcomes: Sequence[Outcome]) -> None:
    """The run has ended, also when it was interrupted or stopped by an error.

    It is told from a ``finally`` block: whoever holds a file or a connection closes it here.

    Args:
        outcomes: One for each trial that ended in this run, failed ones included, in their order.

    Example:
        @hookimpl
        def mritk_run_finish(outcomes):
            failed = [outcome for outcome in outcomes if outcome.error]
            print(f"{len(outcomes)} trained, {len(failed)} of them failed")
    """


def require_interface(wanted: object) -> None:
    """Refuse a plugin for other hooks before it fails in a way that nobody understands.

    Args:
        wanted: What the plugin says as ``MRITK_INTERFACE``, such as ``"1.0"``: the least version
            that it needs. None: it says nothing, and is tried.

    Raises:
        HookError: It needs a newer minor version, or another major one; or the text is no version.
    """
    if wanted is None:
        return
    found = VERSION.fullmatch(wanted) if isinstance(wanted, str) else None
    if found is None:
        raise HookError(f"MRITK_INTERFACE is {wanted!r}; write it as '{_text(INTERFACE)}'")
    major, minor = int(found[1]), int(found[2])
    if (major, minor) > INTERFACE:
        remedy = "'python -m pip install --upgrade mritk-bench' may help"
    elif major < INTERFACE[0]:
        remedy = "update the plugin, or ask its author"
    else:
        return
    raise HookError(f"it requires hooks {wanted}, but this mritk has {_text(INTERFACE)}; {remedy}")


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
