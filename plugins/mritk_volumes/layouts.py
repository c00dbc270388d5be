"""From the tensor names in published files to those of the networks.

Only what the networks do not have is left out; a name that no rule knows stays as it is, and the
proof of loading refuses the file.
"""

from __future__ import annotations

from mritk import StateDict

# MONAI 1.4 and 1.5 saved attention to other tokens with every block, and never used it.
UNUSED = ("cross_attn.", "norm_cross_attn.")


def medicalnet_tensors(found: StateDict) -> StateDict:
    """Return MedicalNet's tensors without the prefix of ``DataParallel``."""
    return {name.removeprefix("module."): tensor for name, tensor in found.items()}


def brainiac_tensors(found: StateDict) -> StateDict:
    """Return the encoder's tensors of BrainIAC's checkpoint of SimCLR, without its projector."""
    return {
        name: tensor
        for name, tensor in found.items()
        if name.startswith("backbone.") and not any(part in name for part in UNUSED)
    }
