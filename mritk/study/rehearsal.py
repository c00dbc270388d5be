"""A long study at small scale: does everything run, from the data to the table?

The same data, splits, architectures, augmentations and methods, but small images, one epoch per
stage, few shots where the study has shots, and no weight files. What comes of it is another
protocol with another fingerprint, so that no table can mix it with results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from mritk.backbone import Backbone
from mritk.errors import MritkError, UsageError
from mritk.files.workspace import Workspace
from mritk.plugins.registry import Registry
from mritk.protocol.protocol import Protocol

# Sides that convolutional networks take whose last features are 1/32 of the input.
IMAGE_SIZE, VOLUME_SIZE = 64, 32
SHOTS = 5
LENGTHS = ("epochs", "steps")  # of a training: epochs, and batches of an epoch


@dataclass(frozen=True)
class Rehearsal:
    """How large samples may be in a rehearsal.

    Attributes:
        image_size: Side of images in pixels at most; None: that of the study.
        volume_size: Side of volumes in voxels at most, likewise.
    """

    image_size: int | None = IMAGE_SIZE
    volume_size: int | None = VOLUME_SIZE

    @classmethod
    def of(cls, backbones: Sequence[Backbone], workspace: Workspace) -> Rehearsal:
        """Return the rehearsal with small samples, if all these networks take them.

        Networks for one size alone, as many transformers are, are rehearsed at the study's size,
        and all beside them. Those whose input contract does not tell are built once.
        """
        of_rank = {
            rank: [b for b in backbones if b.architecture.spatial_dims == rank] for rank in (2, 3)
        }
        return cls(
            IMAGE_SIZE if _all_take(IMAGE_SIZE, of_rank[2], workspace) else None,
            VOLUME_SIZE if _all_take(VOLUME_SIZE, of_rank[3], workspace) else None,
        )

    def of_protocol(self, protocol: Protocol) -> Protocol:
        """Return the protocol at small scale, under a name that says so.

        Each stage has one epoch, of one batch if their number is fixed; shots are 5 at most (a
        protocol without shots trains on all samples), and nothing is repeated. What it is marked
        with gives it a fingerprint of its own, however small the study is already.

        Raises:
            UsageError: The method refuses parameters of one epoch.
        """
        split = replace(protocol.split, repeats=1, shots=min(protocol.split.shots, SHOTS))
        try:
            parameters = _with_one_epoch(protocol.parameters)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"protocol {protocol.name} cannot be rehearsed: its method {protocol.method} "
                f"cannot train for one epoch: {error}; run it without --rehearse"
            ) from error
        return replace(
            protocol,
            name=f"{protocol.name} (rehearsal)",
            split=split,
            image_size=_least(self.image_size, protocol.image_size),
            volume_size=_least(self.volume_size, protocol.volume_size),
            parameters=parameters,
            rehearsal=True,
        )


def without_weights(names: Sequence[str], registry: Registry) -> list[Backbone]:
    """Return each architecture once, to be trained from scratch; weight files need not exist.

    Raises:
        UnknownName: Nobody provides one of the architectures, or the weights that are named.
    """
    found = [registry.backbone(name, files=False) for name in names]
    return list({b.architecture.name: replace(b, weights=None) for b in found}.values())


def _all_take(side: int, backbones: Sequence[Backbone], workspace: Workspace) -> bool:
    """Tell whether all these networks take samples of this side."""
    from mritk.model.backbone import load_backbone

    told = [backbone.input.takes(side) for backbone in backbones]
    if False in told:
        return False
    for backbone, takes in zip(backbones, told, strict=True):
        if takes:
            continue
        try:
            load_backbone(backbone, workspace, seed=0, size=side)
        except MritkError:
            return False
        except Exception:  # it cannot be built at any size, as its trial will tell
            continue
    return True


def _with_one_epoch(value: Any) -> Any:
    """Return the parameters of any method with at most 1 in numbers called as :data:`LENGTHS`."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _field(value, f.name) for f in fields(value) if f.init})
    if isinstance(value, (list, tuple)):
        return type(value)([_with_one_epoch(item) for item in value])
    if isinstance(value, dict):
        return {key: _with_one_epoch(item) for key, item in value.items()}
    return value


def _field(record: Any, name: str) -> Any:
    value = getattr(record, name)
    if name in LENGTHS and isinstance(value, int):
        return min(value, 1)
    return _with_one_epoch(value)


def _least(side: int | None, size: int | None) -> int | None:
    return side if size is None else min(side or size, size)
