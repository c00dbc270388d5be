"""Check and time the CUDA paths of training: ``python -m benchmarks.speed.gpu [--json FILE]``.

Checks: float32 on the GPU agrees with the CPU; two deterministic runs are equal bit for bit;
bfloat16 learns; frozen parts stay as they are. Times: training and prediction in images/s, with
peak memory.
Without a GPU it says so and exits with 4. Meant to end within 8 minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tabulate import tabulate

from mritk import Classification, Samples, Setup, Subset, Workspace
from mritk.registry import Registry
from mritk.train.loop import FineTuning, finetune
from mritk.train.recipe import Recipe, Stage

CASES = (
    ("efficientnet_lite0", 96, 32),
    ("efficientnet_lite0", 224, 64),
    ("resnet18", 224, 64),
    ("convnext_tiny", 224, 64),
    ("efficientnetv2_s", 224, 64),
    ("densenet121", 224, 64),
)
IMAGES = 1024


def bands(count: int, side: int = 64) -> Samples:
    """Return noisy images in four classes: the quarter that is bright."""
    rng = np.random.default_rng(0)
    targets = np.arange(count) % 4
    images = rng.integers(0, 120, (count, side, side)).astype(np.uint8)
    for image, target in zip(images, targets, strict=True):
        image[side // 4 * target : side // 4 * (target + 1)] += 100
    ids = [f"image-{i}" for i in range(count)]
    return Samples(ids, targets, Classification(tuple("abcd")), lambda i: images[i])


def make_setup(backbone: str, size: int, batch: int, workspace: Workspace, **changes: Any) -> Setup:
    """Return the setup of a short training of a randomly initialised backbone on the GPU."""
    registry, samples = Registry.load(environ={}), bands(IMAGES)
    stages = (Stage(1, "head", train_last=0.0), Stage(2, "all", learning_rate=1e-3))
    setup = Setup(
        parameters=Recipe(stages, batch_size=batch),
        task=samples.task,
        train=Subset.of(samples, np.arange(0, IMAGES * 3 // 4), workspace),
        val=Subset.of(samples, np.arange(IMAGES * 3 // 4, IMAGES), workspace),
        augmentation=registry.augmentation("affine"),
        seed=0,
        workspace=workspace,
        backbone=registry.backbone(f"{backbone}@scratch"),
        image_size=size,
        device="cuda:0",
    )
    return replace(setup, **changes)


def check(workspace: Workspace) -> list[tuple[str, str, bool]]:
    """Return name, measured value and verdict of each check."""
    setup = make_setup("resnet18", 64, 32, workspace, precision="float32", deterministic=True)
    first, second = finetune(setup), finetune(setup)
    equal = np.array_equal(first.predict(setup.val), second.predict(setup.val))

    here, there = FineTuning(setup), FineTuning(replace(setup, device="cpu"))
    gap = float(np.abs(here.predict(setup.val) - there.predict(setup.val)).max())

    half = finetune(replace(setup, precision="bfloat16", deterministic=False))
    accuracy = float((half.predict(setup.val).argmax(1) == setup.val.targets).mean())

    frozen = {n: t.clone() for n, t in here.loaded.network.state_dict().items()}
    here.run_stage(setup.parameters.stages[0])
    moved = [
        n for n, t in here.loaded.network.state_dict().items() if not torch.equal(t, frozen[n])
    ]
    return [
        ("two deterministic runs are equal", str(equal), equal),
        ("untrained float32 logits, GPU against CPU", f"{gap:.1e}", gap < 1e-2),
        ("bfloat16 learns (chance 0.25)", f"{accuracy:.2f}", accuracy > 0.6),
        ("tensors that move in a frozen backbone", str(len(moved)), not moved),
    ]


def measure(backbone: str, size: int, batch: int, workspace: Workspace) -> dict[str, Any]:
    """Return images/s of training and prediction, and peak memory, of one backbone."""
    setup = make_setup(backbone, size, batch, workspace)
    training = FineTuning(setup)
    training.run_stage(Stage(1, "warm up"))
    training.seconds, training.images_seen = 0.0, 0
    torch.cuda.reset_peak_memory_stats()
    training.run_stage(Stage(3, "timed"))
    torch.cuda.synchronize()
    started = time.perf_counter()
    training.predict(setup.train)
    predicting = time.perf_counter() - started
    return {
        "backbone": backbone,
        "px": size,
        "batch": batch,
        "precision": training.inputs.precision,
        "training images/s": round(training.images_seen / training.seconds),
        "prediction images/s": round(len(setup.train) / predicting),
        "peak GB": round(torch.cuda.max_memory_allocated() / 1e9, 2),
    }


def main() -> int:
    """Run checks and measurements; return 1 if a check fails, 4 without a GPU."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print(f"no CUDA GPU here (torch {torch.__version__})", file=sys.stderr)
        return 4
    print(torch.cuda.get_device_name(), f"torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as home:
        workspace = Workspace(Path(home))
        checks = check(workspace)
        print(tabulate([(n, v, "ok" if ok else "FAILED") for n, v, ok in checks]), flush=True)
        rows = [measure(*case, workspace) for case in CASES]
    print(tabulate(rows, headers="keys"))
    if options.json:
        content = {"device": torch.cuda.get_device_name(), "checks": checks, "rows": rows}
        options.json.write_text(json.dumps(content, indent=2))
    return 0 if all(ok for _, _, ok in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
