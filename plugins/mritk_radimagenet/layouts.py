"""From the tensor names in RadImageNet's PyTorch files to those of the networks.

The authors saved a wrapper whose ``backbone`` is ``Sequential(*list(net.children())[:-1])`` of a
torchvision network, so that modules have numbers for names and the classifier is absent. A number
that no table below knows stays as it is; the proof of loading then names it as unexpected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from mritk import StateDict

NUMBERED = re.compile(r"backbone\.(\d+)\.(.+)")

# DenseNet's only child but the classifier is ``features``. The last ReLU and the pooling are no
# modules in torchvision's DenseNet, and so not in the file either: the network brings them.
DENSENET121 = {0: "features"}

# 2 is ReLU and 3 max pooling.
RESNET50 = {0: "conv1", 1: "bn1", 4: "layer1", 5: "layer2", 6: "layer3", 7: "layer4"}

# 3 and 6 are max pooling. Built without the auxiliary classifier: with it, everything from 15 on
# would be one further (RadImageNet issue 16).
INCEPTION_V3 = {
    0: "Conv2d_1a_3x3",
    1: "Conv2d_2a_3x3",
    2: "Conv2d_2b_3x3",
    4: "Conv2d_3b_1x1",
    5: "Conv2d_4a_3x3",
    7: "Mixed_5b",
    8: "Mixed_5c",
    9: "Mixed_5d",
    10: "Mixed_6a",
    11: "Mixed_6b",
    12: "Mixed_6c",
    13: "Mixed_6d",
    14: "Mixed_6e",
    15: "Mixed_7a",
    16: "Mixed_7b",
    17: "Mixed_7c",
}


def rename_numbered(modules: Mapping[int, str], found: StateDict) -> StateDict:
    """Return ``found`` with ``backbone.N.`` replaced by the N-th module's name.

    No tensor is dropped, and none that stands outside the layout gets a name of the network: a
    file with torchvision's names is some other file and must not pass for RadImageNet's.
    """

    def renamed(name: str) -> str:
        if not (numbered := NUMBERED.fullmatch(name)):
            return f"{name} without backbone.N."
        module = modules.get(int(numbered[1]))
        return f"{module}.{numbered[2]}" if module else name

    return {renamed(name): tensor for name, tensor in found.items()}


RENAME: Mapping[str, Callable[[StateDict], StateDict]] = {
    "densenet121": partial(rename_numbered, DENSENET121),
    "resnet50": partial(rename_numbered, RESNET50),
    "inception_v3": partial(rename_numbered, INCEPTION_V3),
}
