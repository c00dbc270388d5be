"""Turn the tensors of a torchvision weight file into those of the backbone."""

from __future__ import annotations

import re

from mritk import StateDict
from mritk_torchvision.network import CLASSES

AUXILIARY = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}

# Some files are older than the names of their networks' modules. torchvision renames while it
# loads, by the same two rules: models/densenet.py, models/vision_transformer.py.
RENAMED = (
    (re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)"), r"\1\2"),
    (re.compile(r"\.mlp\.linear_1\."), ".mlp.0."),
    (re.compile(r"\.mlp\.linear_2\."), ".mlp.3."),
)


def network_tensors(name: str, found: StateDict) -> StateDict:
    """Return ``found`` under today's names, without the classifier and the auxiliary ones.

    Everything else stays, known or not, and is judged by the proof of loading.
    """
    auxiliary = AUXILIARY.get(name, ())
    kept = {original: t for original, t in found.items() if not original.startswith(auxiliary)}
    classifier = _classifier(kept)
    return {
        _today(original): tensor
        for original, tensor in kept.items()
        if not classifier or original not in (f"{classifier}.weight", f"{classifier}.bias")
    }


def _classifier(found: StateDict) -> str:
    """Return the module of the last weight matrix with one row per class; empty if there is none.

    The file is asked, not the network: some of torchvision's networks cannot be built without
    allocating and initialising all their values.
    """
    tables = [
        name
        for name, tensor in found.items()
        if name.endswith(".weight") and tensor.ndim == 2 and tensor.shape[0] == CLASSES
    ]
    return tables[-1].removesuffix(".weight") if tables else ""


def _today(name: str) -> str:
    for pattern, replacement in RENAMED:
        name = pattern.sub(replacement, name)
    return name
