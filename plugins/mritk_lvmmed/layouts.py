"""From the tensor names in the published files to those of the networks.

Only what the classification networks do not have is left out; a name that no rule knows stays as
it is, and the proof of loading refuses the file.
"""

from __future__ import annotations

import re

from mritk import StateDict

PREFIX = "image_encoder."
# The rest of SAM, the neck in front of its decoders, and the table of absolute positions, which the
# published classification network leaves out.
NOT_IN_ENCODER = ("prompt_encoder.", "mask_decoder.", "neck.", "pos_embed")


def resnet_tensors(found: StateDict) -> StateDict:
    """Return torchvision's tensors without the classifier, if there is one."""
    return {name: tensor for name, tensor in found.items() if not name.startswith("fc.")}


def encoder_tensors(found: StateDict) -> StateDict:
    """Return the image encoder's tensors by the names of timm's network."""
    named = {name.removeprefix(PREFIX): tensor for name, tensor in found.items()}
    return {
        re.sub(r"\.mlp\.lin([12])\.", r".mlp.fc\1.", name): tensor
        for name, tensor in named.items()
        if not name.startswith(NOT_IN_ENCODER)
    }
