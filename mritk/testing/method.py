"""What every method promises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from mritk.data.samples import Samples
from mritk.errors import UsageError
from mritk.method import Method
from mritk.testing.check import (
    Defect,
    NotApplicable,
    Verdict,
    equal,
    is_sent_to_workers,
    promises,
    require_conformity,
)
from mritk.testing.tiny import tiny_label_maps, tiny_samples
from mritk.testing.training_under_test import TEST, TRAIN, VAL, MethodUnderTest, Training
from mritk.text.listed import first_few

if TYPE_CHECKING:
    from mritk.method import Epoch

SAME_CLASS = 1e-4  # scores of one sample may be rounded otherwise in another batch
SAME_LABELS = 0.01  # and the labels of so many of its pixels


class _Stopped(BaseException):
    """Ends a training as a killed process would, past every ``except Exception``."""


def scores_have_the_shape_of_the_task(it: MethodUnderTest) -> None:
    """Classes give finite logits (N, classes), numbers give (N,), label maps one map per sample."""
    kinds = [tiny_samples(regression=regression) for regression in (False, True)]
    tried = [samples for samples in kinds if it.record.learns(samples.task.kind)]
    # Methods that declare no kinds refuse label maps in ways of their own.
    if (maps := tiny_label_maps()).task.kind in it.record.tasks:
        tried.append(maps)
    if not tried:
        raise NotApplicable(f"it is for {' and '.join(it.record.tasks)}, which is not tried here")
    own = it.samples().task.kind
    for samples in tried:
        try:
            if samples.task.kind == own:
                found = it.scores(it.undisturbed, samples, TEST)
            else:
                found = it.trained_and_scored(samples, TEST)
        except UsageError:
            if samples is kinds[1]:
                continue  # a method may refuse a kind of task, in one line
            raise
        kind, expected = samples.task.kind, samples.task.score_shape(len(TEST))
        if samples.read_target is not None:
            expected = (len(TEST), *samples.read_target(0).shape)
            if not np.isin(found, range(samples.task.outputs)).all():
                raise Defect(f"{kind} gives labels that the task does not have")
        if found.shape != expected:
            raise Defect(f"{kind} gives scores {found.shape}, not {expected}")
        if not np.isfinite(found).all():
            raise Defect(f"{kind} gives scores that are NaN or infinite")


def never_sees_the_test_part(it: MethodUnderTest) -> None:
    """Other test images and other test labels leave every other score as it is, bit for bit."""
    samples, other = it.samples(), it.samples(seed=1)
    mixed = replace(
        mislabelled(samples, TEST), read=lambda i: other.read(i) if i in TEST else samples.read(i)
    )
    if not equal(it.trained_and_scored(mixed, VAL), it.val_reference):
        raise Defect("the model depends on the test samples; use only setup.train and setup.val")


def mislabelled(samples: Samples, rows: np.ndarray) -> Samples:
    """Return samples with the next class, or the opposite label map, at ``rows``."""
    if samples.read_target is not None:
        read = samples.read_target
        return replace(samples, read_target=lambda i: 1 - read(i) if i in rows else read(i))
    targets = samples.targets.copy()
    targets[rows] = (targets[rows] + 1) % 3
    return replace(samples, targets=targets)


def never_looks_at_labels_to_predict(it: MethodUnderTest) -> None:
    """``predict`` gives the same scores for wrong labels, and each sample its own."""
    samples = it.samples()
    wrong = replace(mislabelled(samples, np.concatenate([TRAIN, VAL, TEST])), patients=None)
    together = it.scores(it.undisturbed, samples, TEST)
    if not equal(together, it.scores(it.undisturbed, wrong, TEST)):
        raise Defect("predict() depends on the labels of the subset")
    alone = it.scores(it.undisturbed, samples, TEST[:1])
    if samples.read_target is not None:
        other = float((alone != together[:1]).mean()) > SAME_LABELS
    else:
        least = SAME_CLASS * max(1.0, float(np.abs(together).max()))
        other = float(np.abs(alone - together[:1]).max()) > least
    if other:
        raise Defect(
            "the scores of a test sample depend on the other test samples; is the network in "
            "evaluation mode, without normalisation over the subset?"
        )


def the_seed_decides(it: MethodUnderTest) -> None:
    """Two trainings from one seed are equal, whatever the global generators hold."""
    import random

    import torch

    first = it.reference
    # No constant, which the check of another method may have left behind for the first training.
    seed = (torch.initial_seed() + 1) % 2**32
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    again = it.trained_and_scored(it.samples(), np.concatenate([VAL, TEST]))
    if not equal(first, again):
        raise Defect(
            "two trainings with the same seed differ; derive every generator from setup.seed "
            "(mritk.train and torch.Generator), and use no global random state"
        )


def resumes_exactly_after_a_stop(it: MethodUnderTest) -> None:
    """Stopped after its first, a middle or its last epoch, it ends as if it had not been."""
    samples, rows = it.samples(), np.concatenate([VAL, TEST])
    whole = it.undisturbed
    count = len(whole.epochs)
    if not count:
        raise NotApplicable("it reports no epochs, so it cannot be resumed")
    for stop in sorted({2, count // 2 + 1, count} & set(range(1, count + 1))):
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            resumed = _stopped_and_resumed(it, samples, Path(folder), stop)
            numbers = [epoch.epoch for epoch in resumed.epochs]
            if numbers != [epoch.epoch for epoch in whole.epochs]:
                raise Defect(f"interrupted in epoch {stop}, its final history is {numbers}")
            differ = [
                f"the {name} of epoch {epoch.epoch}"
                for epoch, expected in zip(resumed.epochs, whole.epochs, strict=True)
                for name in _in_which_differ(epoch, expected)
            ]
            if not equal(it.scores(resumed, samples, rows), it.reference):
                differ.insert(0, "the scores")
            if differ:
                raise Defect(
                    f"interrupted in epoch {stop} of {count} and resumed, these differ: "
                    f"{first_few(differ)}; the checkpoint must contain everything that the next "
                    "step depends on"
                )


def _in_which_differ(epoch: Epoch, expected: Epoch) -> list[str]:
    """Return the numbers in which two epochs differ, but for their time."""
    found, numbers = (
        {name: value for name, value in asdict(one).items() if name not in ("seconds", "extra")}
        | dict(one.extra)
        for one in (epoch, expected)
    )
    # repr, in which NaN is as NaN as any other.
    return [n for n in {**numbers, **found} if repr(found.get(n)) != repr(numbers.get(n))]


def _stopped_and_resumed(
    it: MethodUnderTest, samples: Samples, folder: Path, stop: int
) -> Training:
    told = [0]

    def on_epoch(epoch: Epoch) -> None:
        told[0] += 1
        if told[0] == stop:
            raise _Stopped

    try:
        it.train(samples, folder, on_epoch)
    except _Stopped:
        return it.train(samples, folder)
    raise Defect(
        f"an exception of on_epoch in epoch {stop} is swallowed, so training cannot be interrupted"
    )


def augments_if_it_says_so(it: MethodUnderTest) -> None:
    """A method that uses augmentation applies it, so that a row of the table is what it says."""
    if not it.record.uses_augmentation:
        raise NotApplicable("it has uses_augmentation=False")
    if not it.undisturbed.augmented:
        raise Defect(
            "it never applies setup.augmentation; apply it, or set uses_augmentation=False"
        )


def parameters_are_plain(it: MethodUnderTest) -> None:
    """The parameters are a frozen dataclass, so that they can be checked and fingerprinted."""
    kind = it.record.schema
    if not is_dataclass(kind) or not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise Defect(f"{kind.__name__} must be a frozen dataclass")


def notes_are_plain(it: MethodUnderTest) -> None:
    """What goes into the trial file as notes is JSON."""
    notes = getattr(it.undisturbed.fitted, "notes", {})
    try:
        json.dumps(dict(notes))
    except (TypeError, ValueError) as error:
        raise Defect(f"notes must be JSON-serialisable: {error}") from error


CHECKS = (*promises(__name__), is_sent_to_workers)


def inspect_method(method: Method, parameters: Any = None) -> Iterator[Verdict]:
    """Make every check, with these parameters or, without any, the method's defaults."""
    if parameters is None:
        try:
            parameters = method.schema()
        except TypeError as error:
            raise UsageError(
                f"{method.name} has parameters without defaults ({error}); pass some to "
                "check_method"
            ) from error
    return _inspected(method, parameters)


def _inspected(method: Method, parameters: Any) -> Iterator[Verdict]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield from MethodUnderTest(method, parameters, Path(folder)).inspect(CHECKS)


def check_method(method: Method, parameters: Any = None) -> None:
    """Check a method, as ``registry.method(name)`` returns it.

    Args:
        method: The method.
        parameters: An instance of ``method.parameters`` that trains in seconds on 18 images of
            side 32; default: the defaults.

    Raises:
        Nonconforming: It breaks a promise of :data:`CHECKS`; all that were found are listed.
        UsageError: No parameters were given, and not all have defaults.
    """
    require_conformity(inspect_method(method, parameters))
