"""What every backbone promises."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mritk.backbone import FILE_PREFIX, Backbone, weights_from_file
from mritk.errors import MritkError, Unavailable, WeightsMismatch
from mritk.files.workspace import Workspace
from mritk.images.grid import Size, size_text
from mritk.images.input_contract import InputContract
from mritk.testing.check import (
    Defect,
    NotApplicable,
    Verdict,
    equal,
    promises,
    require_conformity,
    require_pickle,
)
from mritk.testing.network_under_test import ANY_SIDE, BackboneUnderTest
from mritk.testing.offline import no_network

if TYPE_CHECKING:
    import torch
    from torch import nn

# Batches of other sizes are rounded otherwise, which deep networks without training amplify
# (EfficientNetV2-S: 0.004 of the largest feature). Statistics of the batch change more than this.
CLOSE = 0.02


# The first check: networks that count their passes differ once one of them has had a batch.
def starts_from_the_seed(it: BackboneUnderTest) -> None:
    """Two networks built from one seed of torch are equal."""
    from mritk.model.lora import merged_state

    first, second = merged_state(it.network), merged_state(it.second)
    different = [name for name in first if not equal(first[name], second[name])]
    if different:
        raise Defect(
            f"two networks built after torch.manual_seed(0) differ in {different[0]}; initialise "
            "with torch's global generator"
        )


def features_are_float32_vectors(it: BackboneUnderTest) -> None:
    """A batch (N, C, *spatial) becomes finite float32 (N, D)."""
    import torch

    found = it.usual
    if not isinstance(found, torch.Tensor):
        raise Defect(f"the network returns {type(found).__name__}, not a tensor")
    if found.ndim != 2 or len(found) != len(it.batch):
        raise Defect(
            f"a batch of {tuple(it.batch.shape)} gives {tuple(found.shape)}, not (2, D); end the "
            f"network with global pooling and Flatten"
        )
    if found.dtype != torch.float32:
        raise Defect(f"features are {found.dtype}, not float32")
    if not found.isfinite().all():
        raise Defect("features of ordinary inputs are NaN or infinite")


def takes_a_batch_of_one(it: BackboneUnderTest) -> None:
    """The features of an image do not depend on what else is in the batch."""
    both, alone = it.usual, it.features(it.batch[:1])
    if tuple(alone.shape) != (1, *both.shape[1:]):
        raise Defect(f"a batch of one gives features of shape {tuple(alone.shape)}")
    difference = float((alone - both[:1]).abs().max())
    if difference > CLOSE * float(both.abs().max()):
        raise Defect(
            f"the features of an image change by {difference:.2g} with the other image of the "
            "batch; in evaluation mode images must be independent"
        )


def is_deterministic_in_evaluation(it: BackboneUnderTest) -> None:
    """Two passes in evaluation mode are equal bit for bit."""
    if not equal(it.usual, it.features(it.batch)):
        raise Defect(
            "two passes in evaluation mode differ; is there dropout or a random draw that "
            "ignores self.training?"
        )


def is_built_anew(it: BackboneUnderTest) -> None:
    """Two networks share no parameter and no persistent buffer, or one would train the other."""
    from mritk.model.anew import address_of, own_tensors

    first, second = (
        {name: address_of(tensor.untyped_storage()) for name, tensor in own_tensors(network)}
        for network in (it.network, it.second)
    )
    known = {*first.values()} - {None}
    shared = [name for name, address in second.items() if address in known]
    if shared:
        raise Defect(
            f"two calls of build() return the same {shared[0]}, so one training would continue "
            "from another; create every layer and parameter anew in each call"
        )


def leaves_its_input_alone(it: BackboneUnderTest) -> None:
    """The batch that goes in is the same afterwards."""
    import torch

    batch = it.batch.clone()
    with torch.no_grad():
        it.network(batch)
    if not equal(batch, it.batch):
        raise Defect("the network modifies its input; its first layer must not be in-place")


def gradients_reach_every_parameter(it: BackboneUnderTest) -> None:
    """After one backward pass every parameter that requires a gradient has one."""
    network = it.trained
    trainable = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    if not trainable:
        raise NotApplicable("nothing of the network trains")
    network(it.batch.clone()).square().sum().backward()
    without = [name for name, parameter in trainable if parameter.grad is None]
    if without:
        raise Defect(
            f"{len(without)} of {len(trainable)} trainable parameters get no gradient "
            f"({', '.join(without[:3])}); remove unused parameters, or set requires_grad to False"
        )
    broken = [name for name, p in trainable if p.grad is not None and not p.grad.isfinite().all()]
    if broken:
        raise Defect(f"the gradient of {broken[0]} is NaN or infinite")


def stages_cover_the_network(it: BackboneUnderTest) -> None:
    """Every tensor of the network is in exactly one stage."""
    from mritk.model.blocks import blocks_of

    try:
        stages = blocks_of(it.network, it.record.architecture)
    except MritkError as error:
        raise Defect(str(error)) from error
    listed = [tensor for stage in stages for tensor in stage.tensors]
    if sorted(listed) != sorted(it.network.state_dict()):
        missing = sorted(set(it.network.state_dict()) - set(listed)) or ["duplicate name"]
        raise Defect(f"the stages do not cover {missing[0]}; specify Architecture(stages=…)")


def state_dict_comes_back_whole(it: BackboneUnderTest) -> None:
    """Saved to a file and loaded with ``@file:PATH``, the network gives the same features."""
    import torch

    from mritk.model.weights import load_proven

    if not it.network.state_dict():
        raise NotApplicable("the network has no tensors")
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "network.pt"
        torch.save(it.network.state_dict(), path)
        other = it.build(seed=1).eval()
        load_proven(other, weights_from_file(it.record.architecture, path), it.workspace)
    with torch.no_grad():
        if not equal(other(it.batch), it.usual):
            raise Defect(
                "after loading its own state dict, the features differ; they depend on state "
                "that is neither a parameter nor a buffer"
            )


def training_changes_only_its_state_dict(it: BackboneUnderTest) -> None:
    """A new network that loads the state dict of a trained one gives the same features."""
    from mritk.model.late_buffers import load_state

    trained, other = it.trained, it.second  # no check looks at them again
    for _ in range(2):  # the first may make what the second changes
        _features(trained.train(), it.batch)
    load_state(other, trained.state_dict())
    if not equal(_features(other.eval(), it.batch), _features(trained.eval(), it.batch)):
        raise Defect(
            "two passes in training mode change features by state that is not in the state "
            "dict, which resumed trainings and stored models lack; register it as a buffer, "
            "without persistent=False"
        )
    if not equal(_features(other.train(), it.batch), _features(trained.train(), it.batch)):
        raise Defect(
            "a third pass in training mode depends on more than the state dict and the random "
            "numbers of torch, which is what resumed trainings have; register state as a buffer, "
            "without persistent=False, and draw with torch's global generator"
        )


def _features(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """Return the features of a batch in the network's mode, with one seed for what it draws."""
    import torch

    with torch.no_grad(), torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        found: torch.Tensor = network(batch.clone())
    return found


def weights_match_in_full(it: BackboneUnderTest) -> None:
    """The weight file fills every tensor, and no exemption is without need."""
    from mritk.model.weights import load_proven

    weights = it.record.weights
    if weights is None:
        raise NotApplicable("it is trained from scratch")
    weights.locate(it.workspace)  # what is not here needs no network
    try:
        report = load_proven(it.build(), weights, it.workspace)
    except WeightsMismatch as error:
        raise Defect(str(error)) from error
    for pattern in weights.may_miss:
        if not any(fnmatchcase(name, pattern) for name in report.exempt):
            raise Defect(f"may_miss has {pattern!r}, but no such tensor is missing from the file")


def keeps_its_input_contract(it: BackboneUnderTest) -> None:
    """The network takes what the contract declares, which is in units of pixels in [0, 1]."""
    contract = it.record.input
    if not all(0 <= m <= 1 for m in contract.mean) or not all(0 < s <= 1 for s in contract.std):
        raise Defect(
            f"mean {contract.mean} and std {contract.std} must refer to pixels in [0, 1]; divide "
            "8-bit values by 255"
        )
    if it.weights_only and _shapes(contract) == _shapes(it.record.architecture.input):
        return  # asked of the architecture
    sides: tuple[Size, ...] = (contract.size,) if contract.size else (ANY_SIDE, ANY_SIDE + 32)
    if contract.minimum is not None:
        sides = (*sides, contract.minimum)
    widths = set()
    for side in sides:
        try:
            known = side == (contract.size or ANY_SIDE)
            widths.add((it.usual if known else it.features(it.inputs(side))).shape[1])
        except (NotApplicable, Defect):
            raise
        except Exception as error:
            raise Defect(
                f"the contract declares {contract.channels} channels and size "
                f"{size_text(contract.size)}, but size {size_text(side)} fails: {error}"
            ) from error
    if len(widths) > 1:
        raise Defect("the contract accepts any size, but the number of features depends on it")


def _shapes(contract: InputContract) -> tuple[object, ...]:
    return contract.channels, contract.size, contract.minimum


def declares_licence_and_pretraining(it: BackboneUnderTest) -> None:
    """Pretrained weights say under which terms they may be used, and what they have seen."""
    weights = it.record.weights
    if weights is None or weights.name.startswith(FILE_PREFIX):
        raise NotApplicable("no published weights")
    if not weights.license.strip() or weights.license == "not stated":
        raise Defect("no licence; set Weights(license=…), if necessary to 'none stated by …'")
    if not weights.pretrained_on:
        raise Defect(
            "no pretraining data; without Weights(pretrained_on=(…,)) overlap with a test set "
            "cannot be detected"
        )


def heeds_offline(it: BackboneUnderTest) -> None:
    """Without a network, weights are here or ``Unavailable`` says how to get them."""
    weights = it.record.weights
    if weights is None:
        raise NotApplicable("it is trained from scratch")
    with no_network() as tried:
        try:
            weights.locate(Workspace(it.workspace.home, offline=True))
        except Unavailable:
            pass
        except Exception as error:
            raise Defect(
                f"offline, locate() raises {type(error).__name__} ({error}); raise "
                "mritk.Unavailable and state which file, from where, and where to put it"
            ) from error
    if tried:
        raise Defect(f"offline, locate() tries to reach {tried[0]}; check workspace.offline")


def is_sent_to_workers(it: BackboneUnderTest) -> None:
    """The records can be pickled."""
    require_pickle(it.record.architecture)
    weights = it.record.weights
    if weights is not None and not weights.name.startswith(FILE_PREFIX):
        require_pickle(weights)


CHECKS = promises(__name__)

# What the architecture alone decides; other weights of it need not be asked again.
OF_WEIGHTS = (
    weights_match_in_full,
    keeps_its_input_contract,
    declares_licence_and_pretraining,
    heeds_offline,
    is_sent_to_workers,
)


def inspect_backbone(
    backbone: Backbone, workspace: Workspace, *, weights_only: bool = False
) -> Iterator[Verdict]:
    """Make every check; with ``weights_only`` those that weights decide."""
    checks = OF_WEIGHTS if weights_only else CHECKS
    return BackboneUnderTest(backbone, workspace, weights_only=weights_only).inspect(checks)


def check_backbone(backbone: Backbone, workspace: Workspace | None = None) -> None:
    """Check a backbone, as ``registry.backbone(name)`` returns it.

    Args:
        backbone: The backbone.
        workspace: Where weights may be; default: that of this machine, offline.

    Raises:
        Nonconforming: It breaks a promise of :data:`CHECKS`; all that were found are listed.
    """
    place = workspace or Workspace.from_environment(offline=True)
    require_conformity(inspect_backbone(backbone, place))
