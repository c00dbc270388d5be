"""A backbone: an architecture with one set of weights, written ``ARCH@WEIGHTS``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from mritk.errors import NotSupplied, Unavailable, UsageError
from mritk.files.digests import sha256_of
from mritk.files.mistaken_file import stand_in
from mritk.files.workspace import Workspace
from mritk.images.input_contract import IMAGENET, InputContract
from mritk.records import Architecture, Weights

SCRATCH = "scratch"
# Stands for the name of a backbone where the method has a model of its own.
OWN_MODEL = "none"
Normalisation = Literal["own", "imagenet"]
Resize = Literal["own", "nearest", "bilinear", "bicubic"]
WHITE = 255.0
FILE_PREFIX = "file:"


@dataclass(frozen=True)
class Backbone:
    """An architecture and its initial weights.

    Attributes:
        architecture: The network.
        weights: The pretrained weights; None: random initialisation.
        inner: The backbone that this one is made around, by a family that ``wraps``; else None.
    """

    architecture: Architecture
    weights: Weights | None = None
    inner: Backbone | None = None

    @property
    def name(self) -> str:
        """The canonical name, as shown in tables: ``densenet121@radimagenet``."""
        return f"{self.architecture.name}@{self.weights.name if self.weights else SCRATCH}"

    @property
    def chain(self) -> tuple[Backbone, ...]:
        """This backbone, the one that it is made around, the one in that, and so on."""
        return (self, *(self.inner.chain if self.inner else ()))

    @property
    def parts(self) -> dict[str, Architecture | Weights]:
        """What it is made of, by name of the part: each has a plugin of its own."""
        found: dict[str, Architecture | Weights] = {"architecture": self.architecture}
        if self.weights is not None:
            found["weights"] = self.weights  # those of the innermost one
        for depth, inner in enumerate(self.chain[1:], 1):
            found[f"inner architecture {depth}".removesuffix(" 1")] = inner.architecture
        return found

    def normalised(self, rule: Normalisation, again: Sequence[str] = ()) -> Backbone:
        """Return the backbone with the normalisation of a protocol.

        Args:
            rule: See :class:`mritk.protocol.protocol.Protocol`.
            again: Names of the architectures that normalise a second time, likewise.

        Raises:
            UsageError: It does not take colour images.
        """
        contract = self.input if rule == "own" else self._as_imagenet()
        if self.architecture.name in again:
            contract = _then(contract, self.input)
        return self._with_input(contract)

    def resized(self, rule: Resize) -> Backbone:
        """Return the backbone with the interpolation of a protocol.

        Raises:
            UsageError: It takes no images.
        """
        if rule == "own":
            return self
        if self.architecture.spatial_dims != 2:
            raise UsageError(
                f"{self.name} takes no images, so resize = {rule!r} in the protocol has no "
                "effect; remove resize"
            )
        return self._with_input(replace(self.input, interpolation=rule))

    def _as_imagenet(self) -> InputContract:
        if self.input.channels != IMAGENET.channels:
            raise UsageError(
                f"{self.name} takes {self.input.channels} channels, so the protocol's ImageNet "
                "normalisation cannot be applied"
            )
        return replace(
            self.input,
            mean=IMAGENET.mean,
            std=IMAGENET.std,
            channel_order=IMAGENET.channel_order,
        )

    def _with_input(self, contract: InputContract) -> Backbone:
        if contract is self.input:
            return self
        weights = None if self.weights is None else replace(self.weights, input=contract)
        return replace(
            self, architecture=replace(self.architecture, input=contract), weights=weights
        )

    @property
    def identity(self) -> dict[str, Any]:
        """The identity of this backbone on every machine, as plain data.

        Weights from a file are identified by digest only, because paths differ between machines.
        """
        identity: dict[str, Any] = {
            "architecture": self.architecture.name,
            "weights": SCRATCH,
            "input": self.input.as_dict(),
            "plugin": self.architecture.origin.digest,
        }
        if self.weights is not None:
            from_file = self.weights.name.startswith(FILE_PREFIX)
            identity["weights"] = "" if from_file else self.weights.name
            identity["sha256"] = self.weights.sha256
        if within := [b.architecture.origin.digest for b in self.chain[1:]]:
            identity["inner plugins"] = within
        return identity

    @property
    def input(self) -> InputContract:
        """The input contract: that of the weights, else that of the architecture."""
        if self.weights is not None and self.weights.input is not None:
            return self.weights.input
        return self.architecture.input


def _then(first: InputContract, second: InputContract) -> InputContract:
    """Return ``first``, and then ``second`` on its result as if that were pixels of 0 to 255.

    ((x − m) / s / 255 − m') / s' = (x − (m + 255 s m')) / (255 s s'). Channels come out in the
    order of ``second``.
    """
    turned = -1 if first.channel_order != second.channel_order else 1
    pairs = list(
        zip(first.mean[::turned], first.std[::turned], second.mean, second.std, strict=True)
    )
    return replace(
        first,
        channel_order=second.channel_order,
        mean=tuple(m + WHITE * s * mean for m, s, mean, _ in pairs),
        std=tuple(WHITE * s * std for _, s, _, std in pairs),
    )


def split_name(name: str) -> tuple[str, str | None]:
    """Split ``ARCH@WEIGHTS`` at the first ``@``; the weights are None for a plain ``ARCH``."""
    architecture, at, weights = name.partition("@")
    return architecture, weights if at else None


def require_weights(
    backbones: Iterable[Backbone], workspace: Workspace, tell: Callable[[str], object]
) -> None:
    """Locate or download all weight files, so that a run with a missing one never starts.

    Args:
        backbones: The backbones whose weights are needed.
        workspace: Where files are, and whether they may be downloaded.
        tell: Called with one line before a file is downloaded.

    Raises:
        Unavailable: A file is missing and cannot be downloaded, or is a web page or a Git LFS
            pointer.
    """
    for backbone in backbones:
        if backbone.weights is None:
            continue
        try:
            about = partial(tell, f"downloading the weights of {backbone.name} …")
            path = _located(backbone.weights, workspace, about)
        except Unavailable as error:
            raise type(error)(f"{backbone.name}: {error}") from error
        except Exception:
            continue  # a fault of its plugin, which the trial keeps with its traceback
        if other := stand_in(path):
            raise NotSupplied(f"{backbone.name}: {path} cannot be read as weights: it {other}")


def _located(weights: Weights, workspace: Workspace, tell: Callable[[], object]) -> Path:
    try:
        return weights.locate(replace(workspace, offline=True))
    except NotSupplied:
        raise
    except Unavailable:
        if workspace.offline:
            raise
    tell()
    return weights.locate(workspace)


def weights_from_file(architecture: Architecture, path: Path) -> Weights:
    """Return the weights in ``path``, which has the network's own tensor names.

    Raises:
        NotSupplied: There is no such file, or it is a web page or a Git LFS pointer.
    """
    if not path.is_file():
        raise NotSupplied(
            f"no weight file {path} for {architecture.name}; after 'file:', give the path of a "
            ".safetensors or .pt state dict"
        )
    if other := stand_in(path):
        raise NotSupplied(f"{path} cannot be read as weights: it {other}")
    digest = sha256_of(path)
    return Weights(
        architecture.name,
        # Two files of one name must not share a row of a table.
        f"{FILE_PREFIX}{path.name}#{digest[:8]}",
        locate=lambda workspace: path,
        sha256=digest,
        summary=f"state dict in {path.name}",
        origin=architecture.origin,
    )
