"""Times of linear probes on a GPU: the pass that computes features, and the regressions."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.speed.gpu_times import Case, Times
from benchmarks.speed.report import rounded
from mritk.batches.inputs import Inputs
from mritk.model.backbone import load_backbone
from mritk.probe.logistic import fit_logistic

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)


def features_of(count: int, width: int, decades: int) -> torch.Tensor:
    """Return float32 features (N, D) whose spectrum falls by so many orders of magnitude."""
    generator = np.random.default_rng(0)
    axes, _ = np.linalg.qr(generator.normal(size=(width, width)))
    values = generator.normal(size=(count, width)) * np.logspace(0, -decades, width)
    return torch.from_numpy(values @ axes).float()


def solved(decades: int, *, count: int = 2086, width: int = 1280, device: str) -> dict[str, Any]:
    """Time the fit of all penalties, the first and the second time.

    Args:
        decades: By how many orders of magnitude the spectrum of the features falls.
        count: Number of images.
        width: Number of features.
        device: Where.

    Returns:
        The row; classes have nothing to do with the features.
    """
    features = features_of(count, width, decades).to(device)
    targets = torch.arange(count, device=device) % 4
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        fit = fit_logistic(features, targets, 4, PENALTIES)
        fit.weight.cpu()
        seconds.append(time.perf_counter() - started)
    return {
        "images": count,
        "features": width,
        "decades": decades,
        "penalties": len(PENALTIES),
        "first, s": rounded(seconds[0]),
        "second, s": rounded(seconds[1]),
        "steps": max(fit.iterations),
        "converged": all(fit.converged),
    }


def passed(times: Times, case: Case, *, at_once: int = 256) -> dict[str, Any]:
    """Time a pass over all images, operation by operation and replayed; each is the second one."""
    setup = times.setup(case, 1)
    rates, outputs = {}, []
    for way, graphs in (("eager", False), ("graphs", True)):
        inputs = Inputs(replace(setup, graphs=graphs))
        loaded = load_backbone(setup.require_backbone(), setup.workspace, setup.seed, inputs.size)
        network, images = inputs.place(loaded.network), inputs.resident(setup.train)
        inputs.evaluate(network, images, at_once)
        started = time.perf_counter()
        outputs.append(inputs.evaluate(network, images, at_once).cpu())
        rates[way] = times.images / (time.perf_counter() - started)
    return {
        "backbone": case.backbone,
        "px": case.size,
        "batch": at_once,
        "precision": inputs.precision,
        **{f"{way}, images/s": round(rate) for way, rate in rates.items()},
        "gain": rounded(rates["graphs"] / rates["eager"]),
        "largest difference": float((outputs[0] - outputs[1]).abs().max()),
    }
