"""The floor of a linear probe: one process that computes the features of a folder once.

    python -m benchmarks.speed.feature_pass FOLDER --backbone ARCH --weights FILE --size PX
                                            --output FILE

Imports, network and weights, decoding in threads, one forward pass of the frozen network in large
batches, channels last; the features go into a ``.npy`` file. No labels, no probe. The last line of
output tells the seconds of the forward pass alone.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mritk.machine.allocator import keep_large_blocks
from mritk.machine.device import choose_device, resolve_precision
from mritk.plugins.registry import Registry

# The faster of 64 and 256 on a CPU; a GPU takes more, but 600 images are few for it either way.
BATCH = 64


def decode(path: Path, size: int) -> np.ndarray:
    """Return a grey picture (size, size) uint8."""
    picture = Image.open(path).convert("L")
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))


def main() -> None:
    """Compute the features."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    keep_large_blocks()
    device = choose_device(options.device)
    backbone = Registry.load(environ={}).backbone(f"{options.backbone}@scratch")
    network = backbone.architecture.build().eval()
    network.load_state_dict(torch.load(options.weights, weights_only=True))
    network.to(device).to(memory_format=torch.channels_last)
    paths = sorted(options.folder.rglob("*.jpg"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pictures = np.stack(list(pool.map(lambda path: decode(path, options.size), paths)))
    images = torch.from_numpy(pictures).unsqueeze(1).to(device)
    half = resolve_precision("auto", device) == "bfloat16"
    started, features = time.perf_counter(), []
    kind = torch.device(device).type
    with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=half):
        for part in images.split(BATCH):
            batch = (part.float() / 255 - 0.45).div_(0.225).expand(-1, 3, -1, -1)
            batch = batch.contiguous(memory_format=torch.channels_last)
            features.append(network(batch).float().cpu())
    seconds = time.perf_counter() - started
    np.save(options.output, torch.cat(features).numpy())
    print(json.dumps({"forward_seconds": seconds, "images": len(images)}))


if __name__ == "__main__":
    main()
