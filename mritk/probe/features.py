"""Features of a frozen backbone: computed once for a dataset, then shared by all trials.

They are kept under everything that shapes them (backbone, weight file, input, device, code); see
:mod:`mritk.images.derived`. Where they are kept already, neither is the network built nor its
weight file loaded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mritk.backbone import Backbone
from mritk.batches.inputs import Inputs
from mritk.errors import MritkError, Unavailable
from mritk.files.code_state import library_versions, source_digest
from mritk.files.digests import sha256_of
from mritk.files.workspace import Workspace
from mritk.images.derived import Derived, Made, Pixels
from mritk.images.subset import Subset
from mritk.method import Setup
from mritk.model.backbone import load_backbone
from mritk.model.flops import count_flops
from mritk.model.latency import measure_latency, measure_replayed_latency
from mritk.records import Architecture

# Raise this when the values that come out of this module change.
FEATURES_VERSION = 2

# Images held in memory at a time while features are computed.
BLOCK_BYTES = 1 << 28


class FrozenBackbone:
    """The frozen backbone of a trial: evaluation mode, no augmentation."""

    def __init__(self, setup: Setup, *, batch_size: int = 256) -> None:
        """Find the weights of ``setup``; ``batch_size`` changes features by rounding at most.

        Raises:
            Unavailable: The weights are not here and cannot be fetched.
        """
        self._setup, self._batch_size = setup, batch_size
        self._inputs = Inputs(setup)
        self._key = _key(setup, self._inputs)

    def features(self, subset: Subset) -> Derived:
        """Return the features of a subset, computed for the whole dataset if not cached.

        Returns:
            Values (N, D) float32, and facts for the trial file about the pass that computed
            them: ``weights`` (the match report, or None), ``num_features``, ``parameters``,
            ``input_size``, ``precision``, ``images_per_second``, and ``flops`` and
            ``latency_seconds`` and ``replayed_latency_seconds`` of one image (or None).

        Raises:
            WeightsMismatch: The weight file does not cover the network exactly.
            MritkError: The features are NaN or infinite, or not of shape (N, D).
        """
        return subset.derive(self._key, self._compute)

    def _compute(self, pixels: Pixels) -> Made:
        setup, inputs = self._setup, self._inputs
        backbone = setup.require_backbone()
        images = pixels(inputs.grid, inputs.interpolation)
        loaded = load_backbone(backbone, setup.workspace, setup.seed, inputs.size)
        network = inputs.place(loaded.network)
        started = time.perf_counter()
        blocks = [
            inputs.evaluate(network, inputs.placed(block), self._batch_size).cpu()
            for block in _blocks(images, self._batch_size)
        ]
        values = torch.cat(blocks).numpy()
        seconds = time.perf_counter() - started
        if not np.isfinite(values).all():
            rows = int((~np.isfinite(values).all(axis=1)).sum())
            remedy = (
                "'mritk plugins check' tests its network"
                if inputs.precision == "float32"
                else "try precision = 'float32' in the protocol"
            )
            raise MritkError(
                f"{backbone.name} returns NaN or infinite features for {rows} of {len(values)} "
                f"images in {inputs.precision}; {remedy}"
            )
        shape = inputs.shape(images.shape)
        return values, {
            "weights": loaded.report.as_dict() if loaded.report else None,
            "num_features": loaded.num_features,
            "parameters": sum(p.numel() for p in network.parameters()),
            "input_size": inputs.size,
            "precision": inputs.precision,
            "images_per_second": len(values) / seconds,
            "flops": count_flops(network, shape),
            "latency_seconds": measure_latency(network, shape, precision=inputs.precision),
            "replayed_latency_seconds": measure_replayed_latency(
                network, shape, precision=inputs.precision
            ),
        }


def _blocks(images: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Cut memory-mapped images into blocks in memory, each of whole batches."""
    batches = max(1, BLOCK_BYTES // max(1, images[0].nbytes * batch_size))
    rows = batches * batch_size
    for start in range(0, len(images), rows):
        yield np.array(images[start : start + rows])


def _key(setup: Setup, inputs: Inputs) -> dict[str, Any]:
    """Return all that shapes the features but the images."""
    backbone = setup.require_backbone()
    weights = backbone.weights
    records = [record for b in backbone.chain for record in (b.architecture, b.weights) if record]
    # Tensors that no file fills start at random.
    drawn = weights is None or bool(weights.may_miss)
    makers = [r.build if isinstance(r, Architecture) else r.rename for r in records]
    return {
        "kind": "backbone features",
        "version": FEATURES_VERSION,
        "backbone": backbone.identity,
        "file": _file_digest(backbone, setup.workspace),
        "seed": setup.seed if drawn else None,
        "size": inputs.size,
        "precision": inputs.precision,
        "device": _device_kind(setup.device),
        "deterministic": setup.deterministic,
        "torch": torch.__version__,
        "origins": [str(record.origin) for record in records],
        "code": [source_digest(maker) for maker in makers if maker],
        "libraries": [library_versions(record.origin.distribution) for record in records],
    }


def _file_digest(backbone: Backbone, workspace: Workspace) -> str | None:
    """Return the SHA-256 of the weight file that would be loaded now."""
    if backbone.weights is None:
        return None
    path = backbone.weights.locate(workspace)
    if not path.is_file():
        raise Unavailable(f"no weight file at {path}")
    status = path.stat()
    return _digest_of(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest_of(path: Path, size: int, changed: int) -> str:
    """Return a file's digest; the file is read again only when its size or time has changed."""
    return sha256_of(path)


def _device_kind(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device
