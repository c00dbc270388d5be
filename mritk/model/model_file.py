"""The kept network of a trial: one ``.safetensors`` file, whole or not there.

Its tensors are called ``backbone.…`` and ``head.…``; its metadata tell what pixels it takes, what
its outputs mean, and where it comes from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mritk.backbone import SCRATCH, Backbone
from mritk.errors import WeightsMismatch, one_line
from mritk.files.atomic import write_whole
from mritk.files.digests import sha256_of
from mritk.images.input_contract import InputContract
from mritk.machine.usual_state import usual_torch
from mritk.model.anew import build_anew
from mritk.model.contract import Normalise
from mritk.model.head_layout import build_described_head, describe_head
from mritk.model.late_buffers import make_room
from mritk.model.lazy_layers import is_whole, make_whole
from mritk.model.lora import merged_state
from mritk.model.network import Network
from mritk.model.weights import match, read_state_dict
from mritk.records import Architecture
from mritk.seeds import derive

FORMAT = "mritk"


def network_facts(fitted: Any) -> dict[str, Any] | None:
    """Return what a trained model's network alone tells of itself, as plain data.

    Returns:
        ``head``: its layers, as :func:`describe_head` tells them; ``input_shape``: (C, *spatial) of
        one input; ``output_scaling``: center and scale, a value is ``output · scale + center``.
        None if the model offers no network of this kind.
    """
    network = getattr(fitted, "network", None)
    shape = getattr(fitted, "input_shape", None)
    if not isinstance(network, Network) or shape is None:
        return None
    head = describe_head(network.head)
    if head is None:
        return None
    scaling = getattr(fitted, "output_scaling", (0.0, 1.0))
    return {"head": head, "input_shape": tuple(shape), "output_scaling": tuple(scaling)}


def write_model(network: nn.Module, metadata: Mapping[str, str], path: Path) -> str:
    """Write a network's tensors, adapters merged, and return the SHA-256 of the file.

    Raises:
        StoreError: It cannot be written; what stood at ``path`` before still does.
    """
    from safetensors.torch import save

    # A copy of each: a file cannot hold one tensor under two names, or in channels-last order.
    tensors = {
        name: tensor.to("cpu", copy=True).contiguous()
        for name, tensor in merged_state(network).items()
    }
    content = save(tensors, dict(metadata))
    write_whole(path, content, parents=1)
    return hashlib.sha256(content).hexdigest()


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a kept model, without its tensors.

    Raises:
        WeightsMismatch: It is no file that mritk has kept.
    """
    from safetensors import safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata: dict[str, str] = dict(file.metadata() or {})
    except Exception as error:
        reason = one_line(error)
        raise WeightsMismatch(f"{path} cannot be read as a model: {reason}") from error
    if metadata.get("format") != FORMAT:
        raise WeightsMismatch(
            f"{path} is not a model stored by mritk, so its backbone and input are unknown; use a "
            "file written by 'mritk run --keep-models' or 'mritk export'"
        )
    return metadata


class TrainedModel(nn.Module):
    """A trained network from pixels to scores.

    Attributes:
        network: Normalised batch in, outputs (N, K) out.
        architecture: Who builds the backbone.
        contract: What pixels become before the network.
        channels: Names of the channels of pixels, such as MRI sequences; empty: grey or RGB.
        input_shape: (C, *spatial) of one input.
        classes: Names of the classes; empty for a regression.
        metadata: All that the file tells.
    """

    def __init__(
        self, network: Network, architecture: Architecture, metadata: Mapping[str, str]
    ) -> None:
        super().__init__()
        self.network, self.architecture, self.metadata = network, architecture, dict(metadata)
        told = json.loads(metadata["input_contract"])
        self.contract = InputContract.from_dict(told)
        self.channels: tuple[str, ...] = tuple(told.get("channel_names", ()))
        self.input_shape: tuple[int, ...] = tuple(json.loads(metadata["input_shape"]))
        self.classes: tuple[str, ...] = tuple(json.loads(metadata["classes"]))
        self._center, self._scale = json.loads(metadata["output_scaling"])

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return logits (N, classes), or values (N,) in the unit of the target.

        Args:
            pixels: (N, C, *spatial) float32 in [0, 1]; colours in the order red, green, blue,
                others as in :attr:`channels`. One grey channel is repeated.
        """
        outputs: torch.Tensor = self.network(self.normalised(pixels))
        return outputs if self.classes else outputs[:, 0] * self._scale + self._center

    def normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return what :attr:`network` takes for pixels as :meth:`forward` takes them."""
        dims, named = len(self.input_shape) - 1, bool(self.channels)
        return Normalise(self.contract, dims, str(pixels.device), named=named)(pixels)


def untrained_network(architecture: Architecture, metadata: Mapping[str, str]) -> Network:
    """Return the network that a model file describes, with random weights.

    Raises:
        KeyError, ValueError: The description is incomplete.
        MritkError: The network has tensors of an earlier one.
    """
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(derive(0, "random weights"))
        backbone = build_anew(architecture)
        network = Network(backbone, build_described_head(json.loads(metadata["head"])))
        if not is_whole(network):
            make_whole(network, (1, *json.loads(metadata["input_shape"])))
    return network


@usual_torch()
def load_model(path: Path | str, find_backbone: Callable[[str], Backbone]) -> TrainedModel:
    """Build the network of a stored or exported model and load its weights, with verification.

    Args:
        path: The ``.safetensors`` file.
        find_backbone: Returns a backbone by name, such as ``Registry.load().backbone``.

    Returns:
        The model on the CPU, in evaluation mode, without gradients.

    Raises:
        WeightsMismatch: The file is damaged, or no longer covers the architecture exactly.
        UnknownName: No plugin provides the architecture.
    """
    path = Path(path)
    metadata = read_metadata(path)
    try:
        architecture = find_backbone(f"{metadata['architecture']}@{SCRATCH}").architecture
        network = untrained_network(architecture, metadata)
        model = TrainedModel(network, architecture, metadata)
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsMismatch(
            f"the metadata of {path} are incomplete ({error}), so the network cannot be built; "
            "recreate the model with 'mritk run … --keep-models --rerun'"
        ) from error
    stored = read_state_dict(path)
    make_room(network, stored)
    report, state = match(network, stored, (), path.name, sha256_of(path))
    if not report.complete or report.exempt:
        raise WeightsMismatch(
            f"{path} does not fit {architecture.name} of {architecture.origin}: {report}; the "
            "plugin has changed: install the version shown by 'mritk show', or retrain with "
            "--keep-models --rerun"
        )
    network.load_state_dict(state)
    model.eval()
    model.requires_grad_(False)
    return model
