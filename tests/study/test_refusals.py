"""What is refused before data are read: here, sizes that a network does not take."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mritk import Architecture, InputContract, UsageError
from mritk.backbone import Backbone
from mritk.study.refusals import require_size


def sized(dims: int, contract: InputContract, **sizes: int | None) -> None:
    protocol = SimpleNamespace(name="quick", **({"image_size": None, "volume_size": None} | sizes))
    backbone = Backbone(Architecture("net", lambda: None, contract, spatial_dims=dims))
    require_size(SimpleNamespace(spatial_dims=dims), backbone, protocol)


@pytest.mark.parametrize(
    ("dims", "size", "message"),
    [
        (2, 224, r"net@scratch takes images of size 224 only, .*; use --vary image_size=224, or"),
        (3, 96, r"takes volumes of size 96 only, but protocol quick has volume_size = 64; use --v"),
        (3, (96, 96, 64), r"takes volumes of size 96×96×64 only.*; use another backbone"),
    ],
)
def test_a_network_for_one_size_alone_is_refused_at_another(dims, size, message):
    with pytest.raises(UsageError, match=message):
        sized(dims, InputContract(size, fixed=True), image_size=64, volume_size=64)


def test_sizes_that_may_do_are_not_refused():
    sized(2, InputContract(224, fixed=True), image_size=224, volume_size=64)
    sized(2, InputContract(224, fixed=True), volume_size=64)
    sized(2, InputContract(224, minimum=96), image_size=64)
    sized(2, InputContract(224), image_size=64)
