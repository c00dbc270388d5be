"""Backbones and datasets of the Hugging Face hub: ``hf:ORG/REPO``.

Nothing that a repository holds is ever executed: networks are those of the installed libraries timm
and transformers, data are read by the library datasets, and weights are read without unpickling
code. Importing this package and yielding its records imports none of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from mritk import BackboneFamily, DatasetFamily, hookimpl, lazy


@hookimpl
def mritk_backbones() -> Iterator[BackboneFamily]:
    """Yield the family ``hf:ORG/REPO`` of backbones."""
    yield BackboneFamily(
        "hf",
        resolve=lazy("mritk_huggingface.backbone:backbone_records"),
        placeholder="ORG/REPO",
        summary="a timm model or an image encoder of transformers on the Hugging Face hub",
        options=lazy("mritk_huggingface.options:BackboneOptions"),
        needs_workspace=True,
    )


@hookimpl
def mritk_datasets() -> Iterator[DatasetFamily]:
    """Yield the family ``hf:ORG/REPO`` of datasets."""
    yield DatasetFamily(
        "hf",
        resolve=lazy("mritk_huggingface.dataset:dataset_records"),
        placeholder="ORG/REPO",
        summary=(
            "image folders or parquet files on the Hugging Face hub; ,label=COLUMN and "
            ",patient=COLUMN select columns"
        ),
        options=lazy("mritk_huggingface.options:DatasetOptions"),
        needs_workspace=True,
    )
