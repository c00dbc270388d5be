"""A long study at small scale: does everything run, from the data to the table?

The same data, splits, architectures, augmentations and methods, but small images, one epoch per
stage, few shots and no weight files. What comes of it is another protocol with another
fingerprint, so that no table can mix it with results.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from mritk.backbone import Backbone
from mritk.protocol import Protocol

IMAGE_SIZE, VOLUME_SIZE, SHOTS = 64, 32, 5


def rehearsed(protocol: Protocol) -> Protocol:
    """Return the protocol at small scale, under a name that says so.

    Images have 64 px at most and volumes 32, each stage has one epoch, shots are 5 at most, and
    nothing is repeated.
    """
    split = replace(protocol.split, repeats=1, shots=min(protocol.split.shots, SHOTS))
    return replace(
        protocol,
        name=f"{protocol.name} (rehearsal)",
        split=split,
        image_size=min(protocol.image_size or IMAGE_SIZE, IMAGE_SIZE),
        volume_size=min(protocol.volume_size or VOLUME_SIZE, VOLUME_SIZE),
        parameters=_with_one_epoch(protocol.parameters),
    )


def without_weights(backbones: Iterable[Backbone]) -> list[Backbone]:
    """Return each architecture once, to be trained from scratch."""
    return list({b.architecture.name: Backbone(b.architecture) for b in backbones}.values())


def _with_one_epoch(value: Any) -> Any:
    """Return the parameters of any method with 1 in every whole number called ``epochs``."""
    if isinstance(value, tuple):
        return tuple(_with_one_epoch(item) for item in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changes = {
        field.name: 1
        if field.name == "epochs" and isinstance(getattr(value, field.name), int)
        else _with_one_epoch(getattr(value, field.name))
        for field in fields(value)
        if field.init
    }
    return replace(value, **changes)
