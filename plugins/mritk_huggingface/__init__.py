"""Backbones and datasets from the Hugging Face Hub: ``hf:ORG/REPO``.

Nothing of a repository is ever executed: networks are those of timm and transformers, datasets are
read by the readers of the ``datasets`` library.
"""

from __future__ import annotations

from collections.abc import Iterator

from mritk import BackboneFamily, DatasetFamily, hookimpl
from mritk_huggingface.backbones import At, resolve_backbone
from mritk_huggingface.dataset_name import Columns, resolve_dataset

PLACEHOLDER = "ORG/REPO"


@hookimpl
def mritk_backbones() -> Iterator[BackboneFamily]:
    """Yield the family of image encoders on the hub."""
    yield BackboneFamily(
        "hf",
        resolve_backbone,
        placeholder=PLACEHOLDER,
        options=At,
        summary="image encoder on the Hugging Face Hub, of timm or transformers",
    )


@hookimpl
def mritk_datasets() -> Iterator[DatasetFamily]:
    """Yield the family of image datasets on the hub."""
    yield DatasetFamily(
        "hf",
        resolve_dataset,
        placeholder=PLACEHOLDER,
        options=Columns,
        summary="images on the Hugging Face Hub, as folders or parquet",
    )
