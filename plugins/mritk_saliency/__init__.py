"""Explainers: ``saliency``, ``grad_cam``, ``guided_backpropagation`` and others, in 2-D and 3-D."""

from __future__ import annotations

from collections.abc import Iterator

from mritk import Explainer, hookimpl, lazy


@hookimpl
def mritk_explainers() -> Iterator[Explainer]:
    """Yield the explainers; ``meaningful_perturbation`` takes 300 passes and is used if named."""
    yield Explainer(
        "saliency",
        lazy("mritk_saliency.gradients:saliency"),
        summary="absolute gradient (Simonyan et al., 2014)",
    )
    yield Explainer(
        "integrated_gradients",
        lazy("mritk_saliency.gradients:integrated_gradients"),
        summary="32 steps from the mean pixel (Sundararajan et al., 2017)",
    )
    yield Explainer(
        "guided_backpropagation",
        lazy("mritk_saliency.guided:guided_backpropagation"),
        summary="gradient through positive paths of ReLUs (Springenberg et al., 2015)",
    )
    yield Explainer(
        "grad_cam",
        lazy("mritk_saliency.grad_cam:grad_cam"),
        summary="last feature maps, weighted by their gradients (Selvaraju et al., 2017)",
    )
    yield Explainer(
        "meaningful_perturbation",
        lazy("mritk_saliency.perturbation:meaningful_perturbation"),
        is_default=False,
        summary="smallest blur that takes the class away (Fong & Vedaldi, 2017); 300 passes",
    )
