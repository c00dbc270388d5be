"""Which plugin's code raised in the middle of a trial."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import Any

from mritk.errors import AugmentationFault, MritkError, one_line
from mritk.files.remedy import refusal_of_disk
from mritk.lazy_import import underlying
from mritk.plugins.loaded import check_command, home_of, place_of
from mritk.records import Origin
from mritk.trial import Trial

# Hook, what it yielded, where that came from, and its code.
Part = tuple[str, str, Origin, Callable[..., Any]]


def explain_error(error: Exception | SystemExit, trial: Trial) -> str:
    """Return one line: what was raised, by which plugin, from which hook, and what to do next."""
    changed = trial.augmentation
    if isinstance(error, AugmentationFault) and changed.apply is not None:
        command = check_command(changed.name, changed.origin, changed.apply)
        return f"{error}; to find the cause: {command}"
    if isinstance(error, MritkError):
        return str(error)
    text = f"{type(error).__name__}: {error}"
    found = _deepest(error, trial)
    what = f"a file of {found[1]} of {found[2]}" if found is not None else "a file of this trial"
    if refusal := refusal_of_disk(error, what):
        return f"{refusal}; the traceback is in the trial file"
    if found is not None:
        hook, record, origin, function = found
        place = place_of(error, home_of(function))
        text += (
            f" (raised in {record} of {origin}, hook {hook}{f', {place}' if place else ''}); the "
            "traceback is in the trial file; to find the cause: "
            f"{check_command(record.partition(' ')[2], origin, function)}"
        )
    return one_line(text)


def _deepest(error: BaseException, trial: Trial) -> Part | None:
    """The part of the trial whose code stands deepest in the traceback."""
    codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    best, found = (-1, -1), None
    for part in _parts(trial):
        home, own = home_of(part[-1]), getattr(underlying(part[-1]), "__code__", None)
        within = [i for i, code in enumerate(codes) if home and code.co_filename.startswith(home)]
        # Parts that stand in one file are told apart by which function was called.
        called = [i for i, code in enumerate(codes) if code is own]
        depth = (max(within, default=-1), max(called, default=-1))
        if within and depth > best:
            best, found = depth, part
    return found


def _parts(trial: Trial) -> Iterator[Part]:
    """Yield each part that a plugin provides."""
    method, augmentation, dataset = trial.method, trial.augmentation, trial.dataset.record
    yield "mritk_methods", f"method {method.name}", method.origin, method.fit
    if augmentation.apply is not None:
        name = f"augmentation {augmentation.name}"
        yield "mritk_augmentations", name, augmentation.origin, augmentation.apply
    yield "mritk_datasets", f"dataset {dataset.name}", dataset.origin, dataset.open
    if trial.backbone is not None:
        for backbone in trial.backbone.chain:
            architecture, weights = backbone.architecture, backbone.weights
            name = f"backbone {backbone.name}"
            yield "mritk_backbones", name, architecture.origin, architecture.build
            if weights is not None:
                yield "mritk_backbones", name, weights.origin, weights.rename or weights.locate
