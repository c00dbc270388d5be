"""Programs of other environments as methods.

The method ``external`` trains and predicts with a program that reads a job file; ``fomo_container``
predicts with a trained entrant in the layout of the FOMO challenge's container templates
(https://github.com/fomo26/container_templates), unmodified. docs/external.md says how both are told
what to do.
"""

from __future__ import annotations

from collections.abc import Iterator

from mritk import Method, hookimpl, lazy


@hookimpl
def mritk_methods() -> Iterator[Method]:
    """Yield ``external`` and ``fomo_container``."""
    yield Method(
        "external",
        fit=lazy("mritk_external.contract:fit_external"),
        parameters=lazy("mritk_external.recipe:ExternalRecipe"),
        uses_backbone=False,
        uses_augmentation=False,
        tasks=("classification", "regression", "segmentation"),
        summary="a program of another environment, which trains and predicts by a job file",
    )
    yield Method(
        "fomo_container",
        fit=lazy("mritk_external.fomo:fit_fomo"),
        parameters=lazy("mritk_external.recipe:FomoRecipe"),
        uses_backbone=False,
        uses_augmentation=False,
        tasks=("classification", "regression", "segmentation"),
        summary="a trained entrant in the layout of the FOMO challenge's containers",
    )
