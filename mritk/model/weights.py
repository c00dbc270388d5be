"""Load pretrained weights and prove it: every tensor accounted for, or an error."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

from mritk.errors import Unavailable, WeightsMismatch
from mritk.files.digests import sha256_of
from mritk.files.mistaken_file import stand_in
from mritk.files.workspace import Workspace
from mritk.records import Weights

# A counter that BatchNorm keeps for itself; files written before torch 0.4.1 do not have it.
BOOKKEEPING = "*.num_batches_tracked"

# Where training scripts commonly put the tensors inside a checkpoint.
CHECKPOINT_KEYS = ("state_dict", "model_state_dict", "model")


@dataclass(frozen=True)
class MatchReport:
    """How the tensors of a weight file meet those of a network.

    Attributes:
        file: Name of the file, without its folder.
        sha256: Digest of the file.
        matched: Number of network tensors filled from the file.
        total: Number of tensors in the network (parameters and buffers).
        parameters: Number of values in the matched tensors.
        missing: Network tensors that the file does not hold.
        unexpected: Tensors of the file that the network does not have.
        misshapen: Tensors of another shape, or whole numbers for floats, with both kinds.
        exempt: Network tensors that were allowed to be missing, and are.
    """

    file: str
    sha256: str
    matched: int
    total: int
    parameters: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()
    exempt: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """True if nothing is missing, unexpected or of another shape."""
        return not (self.missing or self.unexpected or self.misshapen)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data for the trial file."""
        return asdict(self)

    def __str__(self) -> str:
        text = f"{self.matched} of {self.total} tensors matched"
        for what in ("missing", "unexpected", "misshapen"):
            if names := getattr(self, what):
                text += f", {len(names)} {what} ({_first(names)})"
        return text


def load_proven(network: torch.nn.Module, weights: Weights, workspace: Workspace) -> MatchReport:
    """Fill ``network`` from the file of ``weights`` and return the proof.

    Raises:
        Unavailable: The file is not here and cannot be fetched.
        WeightsMismatch: Wrong digest, unreadable file, anything but full coverage, or values that
            are NaN or infinite; the network is then left as it was.
    """
    path = weights.locate(workspace)
    if not path.is_file():
        raise Unavailable(f"no weight file at {path}")
    if other := stand_in(path):
        raise WeightsMismatch(f"{path} cannot be read as weights: it {other}")
    digest = sha256_of(path)
    if not digest.startswith(weights.sha256.lower()):
        raise WeightsMismatch(
            f"{path.name} has SHA-256 {digest[:16]}…, expected {weights.sha256[:16]}…; the file "
            f"is damaged or another version: delete {path} and download it again"
        )
    found: Mapping[str, torch.Tensor] = read_state_dict(path)
    if weights.rename is not None:
        found = weights.rename(found)
    report, state = match(network, found, weights.may_miss, path.name, digest)
    if not report.complete:
        raise WeightsMismatch(
            f"{path.name} does not fit {weights.architecture}: {report}; nothing was loaded, "
            "because the rest of the network would silently be random"
        )
    if names := _not_finite(network, found):
        raise WeightsMismatch(
            f"{path.name} holds NaN or infinite values in {len(names)} of {report.total} tensors "
            f"({_first(names)}); nothing was loaded: the training that saved them had diverged, or "
            "they overflowed in a conversion; use another file"
        )
    network.load_state_dict(state)
    return report


def match(
    network: torch.nn.Module,
    found: Mapping[str, torch.Tensor],
    may_miss: tuple[str, ...],
    file: str,
    digest: str,
) -> tuple[MatchReport, Mapping[str, torch.Tensor]]:
    """Compare ``found`` with the network's tensors by name and shape.

    Returns:
        The report, and the network's own state dict (with the versions that its modules note in
        it) filled from ``found``.
    """
    own = network.state_dict()
    absent = [name for name in own if name not in found]
    patterns = (BOOKKEEPING, *may_miss)
    exempt = [name for name in absent if any(fnmatchcase(name, one) for one in patterns)]
    filled = [name for name in own if name in found and _fits(found[name], own[name])]
    misshapen = tuple(
        f"{name} {_kind(found[name])} for {_kind(own[name])}"
        for name in own
        if name in found and name not in filled
    )
    report = MatchReport(
        file=file,
        sha256=digest,
        matched=len(filled),
        total=len(own),
        parameters=sum(own[name].numel() for name in filled),
        missing=tuple(name for name in absent if name not in exempt),
        unexpected=tuple(name for name in found if name not in own),
        misshapen=misshapen,
        exempt=tuple(exempt),
    )
    for name in filled:
        own[name] = found[name]
    return report, own


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read tensors by name from ``.safetensors``, or from a torch file without running its code.

    Raises:
        WeightsMismatch: The file cannot be read, or holds something other than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch advises to run whatever code is in it
        raise WeightsMismatch(
            f"{path} cannot be read as weights: it is damaged, or contains more than tensors; "
            "download it again, or save torch.save(network.state_dict(), FILE)"
        ) from error
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsMismatch(f"{path} cannot be read as weights: {reason}") from error
    if isinstance(content, dict):
        content = next((content[k] for k in CHECKPOINT_KEYS if k in content), content)
    tensors = content.items() if isinstance(content, dict) else ()
    if not tensors or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in tensors
    ):
        raise WeightsMismatch(f"{path} contains no state dict (a mapping of names to tensors)")
    return dict(tensors)


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _not_finite(network: torch.nn.Module, found: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the floating tensors that become NaN or infinite and were not, as a mask may be."""
    own = network.state_dict()
    return [
        name
        for name, tensor in found.items()
        if tensor.is_floating_point()
        and not tensor.to(own[name].dtype).isfinite().all()
        and own[name].isfinite().all()
    ]


def _fits(found: torch.Tensor, own: torch.Tensor) -> bool:
    same_kind = found.dtype.is_floating_point == own.dtype.is_floating_point
    return same_kind and found.shape == own.shape


def _kind(tensor: torch.Tensor) -> str:
    dtype = "" if tensor.dtype.is_floating_point else f"{str(tensor.dtype).removeprefix('torch.')} "
    return f"{dtype}{tuple(tensor.shape)}"
