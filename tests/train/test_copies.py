"""What a step copies beside computing: no feature map to another layout, no weight twice.

Tensor operations are followed on a CPU; what a GPU's autocast does to normalisations, which a
CPU's leaves alone, is done by a stand-in.
"""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mritk import Workspace
from mritk.protocol.recipe import Stage
from mritk.train.training import prepare
from tests.gpu.scene import Scene
from tests.machine.test_precision import AsOnAGpu

BATCH, SIDE = 4, 64
COPIES = {"aten::clone", "aten::_to_copy", "aten::copy_"}


class Followed(TorchDispatchMode):
    """Follows the operations of a step.

    Attributes:
        maps: Feature maps that convolutions take and give.
        other_layout: Shapes of those, and of copies, that are not channels last.
        casts: How often each tensor among ``watched`` is copied to bfloat16.
        to_float32: Activations that are copied from bfloat16 to float32.
    """

    def __init__(self, watched=()):
        super().__init__()
        self._watched = {tensor.data_ptr() for tensor in watched}
        self.maps, self.other_layout = 0, []
        self.casts, self.to_float32 = Counter(), 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **kwargs or {})
        name = operation.overloadpacket._qualified_op_name
        given = [t for t in tree_leaves(args) if isinstance(t, torch.Tensor)]
        made = [t for t in tree_leaves(result) if isinstance(t, torch.Tensor)]
        if "convolution" in name:
            maps = [t for t in given + made if is_map(t)]
            self.maps += len(maps)
            self.other_layout += [tuple(t.shape) for t in maps if not is_channels_last(t)]
        elif name in COPIES and is_map(given[-1]) and is_map(made[0]):
            moved = is_channels_last(given[-1]) != is_channels_last(made[0])
            self.other_layout += [tuple(made[0].shape)] * moved
        if name == "aten::_to_copy":
            source, target = given[0].dtype, made[0].dtype
            if given[0].data_ptr() in self._watched and target == torch.bfloat16:
                self.casts[given[0].data_ptr()] += 1
            large = made[0].ndim == 4 and made[0].shape[0] == BATCH
            self.to_float32 += large and (source, target) == (torch.bfloat16, torch.float32)
        return result


def is_map(tensor):
    """Tell whether a tensor is a feature map, whose layout matters."""
    return tensor.ndim == 4 and tensor.shape[1] > 1 and math.prod(tensor.shape[2:]) > 1


def is_channels_last(tensor):
    """Tell whether channels lie side by side; slices of a concatenation do."""
    return tensor.stride(1) == 1


@pytest.fixture
def followed(tmp_path):
    """Follow a step of a training, forward and backward."""

    def follow(backbone, precision):
        scene = Scene("cpu", Workspace(tmp_path), size=SIDE, images=16, batch=BATCH)
        training = prepare(scene.setup(Stage(1), backbone=backbone))
        training.inputs.precision = precision  # the program refuses bfloat16 on a processor
        network = training.network.train()
        with AsOnAGpu(), Followed(network.parameters()) as found:
            outputs = training.compute(torch.rand(BATCH, 1, SIDE, SIDE))
            training.objective.loss(outputs, torch.arange(BATCH)).backward()
        return network, found

    return follow


IMAGES = (BATCH, 3, SIDE, SIDE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "elsewhere"),
    [
        ("resnet18", []),
        ("efficientnet_lite0", []),
        ("densenet121", []),
        # The gradient of the mean over the last map, before which no convolution brings it back.
        ("convnext_tiny", [(BATCH, 768, 2, 2)]),
    ],
)
@pytest.mark.parametrize("precision", ["float32", "bfloat16_norms"])
def test_feature_maps_stay_channels_last_forward_and_backward(
    followed, backbone, elsewhere, precision
):
    """The batch itself is brought to that layout, once."""
    _, found = followed(backbone, precision)
    assert found.other_layout == [IMAGES, *elsewhere]
    assert found.maps > 100


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "bfloat16_norms"])
@pytest.mark.parametrize("backbone", ["resnet18", "convnext_tiny"])
def test_no_weight_is_cast_twice_in_a_step(followed, backbone, precision):
    """Autocast keeps what it has cast until its block ends; there is one block in a step."""
    network, found = followed(backbone, precision)
    assert set(found.casts.values()) == {1}
    layers = [m for m in network.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    assert len(found.casts) >= len(layers)


@pytest.mark.slow
def test_activations_are_not_copied_to_float32_before_norms_in_bfloat16(followed):
    """In bfloat16 each of ConvNeXt-Tiny's 22 norms of feature maps has a copy made for it."""
    _, with_copies = followed("convnext_tiny", "bfloat16")
    _, without = followed("convnext_tiny", "bfloat16_norms")
    assert with_copies.to_float32 - without.to_float32 >= 22
    # Gradients of its 18 blocks, whose residual stream float32 layer scales keep in float32.
    assert without.to_float32 == 18
