"""Resource-efficient CNNs (Khan and Auvee 2024, arXiv:2411.15596): a network from a layer table.

The study compares two small networks of its own with pretrained ResNet-18 and VGG-16, on all
training images and on few. Its layer lists are not published; ``table_cnn`` is a reconstruction in
their spirit, and ``table_cnn:FILE.toml`` takes the real list when it is known. The protocols
``kshot_0`` to ``kshot_80`` and ``resource_efficient`` are the study's comparison; see
docs/resource_efficient.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mritk import (
    Architecture,
    BackboneFamily,
    InputContract,
    ProtocolFile,
    hookimpl,
    lazy,
    packaged_text,
    user_path,
)
from mritk_table_cnn.kshot import SHOTS, kshot_text

if TYPE_CHECKING:
    from torch import nn

# The name in a trial file; a path may hold a # of its own.
NAMED = re.compile(r"(?P<path>.+)#(?P<digest>[0-9a-f]{8})")
RECONSTRUCTION = ("tables", "reconstruction.toml")
CONTRACT = InputContract(224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@hookimpl
def mritk_backbones() -> Iterator[Architecture | BackboneFamily]:
    """Yield the reconstruction, and the family of networks from anybody's table."""
    yield Architecture(
        "table_cnn",
        build_reconstruction,
        CONTRACT,
        summary="small CNN after arXiv:2411.15596 (reconstruction; layers not published)",
    )
    yield BackboneFamily(
        "table_cnn", resolve, placeholder="FILE.toml", summary="a CNN from your own layer table"
    )


@hookimpl
def mritk_protocols() -> Iterator[ProtocolFile]:
    """Yield the k-shot protocols and that on all training images."""
    for shots in SHOTS:
        told = "the untrained network" if shots == 0 else f"{shots} training images per class"
        yield ProtocolFile(
            f"kshot_{shots}", partial(kshot_text, shots), summary=f"grey, blurred; {told}"
        )
    yield ProtocolFile(
        "resource_efficient",
        partial(packaged_text, __package__, "protocols", "resource_efficient.toml"),
        summary="grey, blurred; all training images (after arXiv:2411.15596)",
    )


def resolve(member: str) -> Iterator[Architecture]:
    """Yield the architecture of the table in the file ``member``.

    Its name bears the first digits of the file's digest, so that two tables never share a row.

    Raises:
        Unavailable: There is no such file, or it is not the one that a digest names.
        UsageError: It is no layer table.
    """
    from mritk_table_cnn.layer_table import read_table

    path, digest = user_path(member), ""
    if not path.is_file() and (found := NAMED.fullmatch(str(path))):
        path, digest = Path(found["path"]), found["digest"]
    table = read_table(path, digest)
    yield Architecture(
        f"table_cnn:{path.name}#{table.digest}",
        partial(lazy("mritk_table_cnn.network:build"), table),
        CONTRACT,
        summary=table.summary or f"CNN of {path.name}",
    )


def build_reconstruction() -> nn.Module:
    """Return a freshly initialised reconstruction: (N, 3, H, W) becomes features (N, 256)."""
    from mritk_table_cnn.layer_table import parse_table
    from mritk_table_cnn.network import build

    return build(parse_table(packaged_text(__package__, *RECONSTRUCTION), "/".join(RECONSTRUCTION)))
