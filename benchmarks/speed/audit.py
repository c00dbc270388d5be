"""How long the audit of a large dataset takes, cold and warm, and how much memory it needs.

    python -m benchmarks.speed.audit [--images N | --folder PATH] [--thumbnails N] [--json FILE]

First N synthetic JPEG files of 512 × 512 pixels, or those of a folder, are audited, once with an
empty cache and once more; what it takes to decode the files alone is told beside it. Then the
search for copies alone runs on N synthetic small pictures, of which one in a hundred is a copy of
another. Processor time is that of all threads; unlike the time in all, it hardly depends on what
else the machine does.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tabulate import tabulate

from benchmarks.speed.measurement import Timer
from mritk import Workspace
from mritk.audit.audit import audit
from mritk.audit.copies import find_copies
from mritk.audit.image_index import ImageIndex
from mritk.audit.signature import SIDES
from mritk.machine.in_threads import in_threads
from mritk.plugins.registry import Registry


def blobs(generator: np.random.Generator, count: int, side: int, cells: int = 12) -> np.ndarray:
    """Return (count, side, side) uint8 pictures of smooth random structure inside an ellipse."""
    grid = np.linspace(-1, 1, side)
    inside = (grid[:, None] ** 2 / 0.8 + grid[None] ** 2 / 0.6) < 1
    pictures = np.empty((count, side, side), np.uint8)
    for picture in pictures:
        coarse = Image.fromarray(generator.integers(40, 250, (cells, cells), dtype=np.uint8))
        picture[:] = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)) * inside
    return pictures


def row(timer: Timer, what: str, count: int, pairs: int | str = "") -> dict[str, Any]:
    """Return a row of the table: what has passed since the timer was made."""
    passed = timer.lap()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "what": what,
        "images": count,
        "seconds": round(passed.seconds, 1),
        "processor seconds": round(passed.cpu_seconds, 1),
        "pairs found": pairs,
        "peak memory of the process so far, GiB": round(peak, 2),
    }


def write_images(folder: Path, count: int) -> None:
    """Write ``count`` synthetic files of two classes."""
    generator = np.random.default_rng(0)
    for number in range(count):
        path = folder / "ab"[number % 2] / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(blobs(generator, 1, 512)[0]).save(path, quality=90)


def whole_audit(images: Path) -> list[dict[str, Any]]:
    """Decode the files of a folder, and audit them twice."""
    Registry.load()  # what is imported once is not part of it
    with tempfile.TemporaryDirectory() as home:
        workspace, rows = Workspace(Path(home)), []
        samples = Registry.load().dataset(f"folder:{images}").open(workspace)
        timer = Timer()
        for _ in in_threads(samples.read, len(samples)):
            pass
        rows.append(row(timer, "decoding alone", len(samples)))
        for state in ("cold", "warm"):
            timer = Timer()
            samples = Registry.load().dataset(f"folder:{images}").open(workspace)
            found = audit([("images", samples, (), ())], workspace)
            rows.append(row(timer, f"audit, {state}", len(samples), len(found.copies.pairs)))
    return rows


def search(count: int) -> list[dict[str, Any]]:
    """Search ``count`` small pictures for copies."""
    generator = np.random.default_rng(1)
    pictures = blobs(generator, count, SIDES[2], cells=8)
    copies = count // 100
    pictures[-copies:] = pictures[:copies].swapaxes(1, 2)
    names = tuple(str(i) for i in range(count))
    index = ImageIndex(
        key="",
        contents=names,
        arrays=names,
        pixels=names,
        shapes=((512, 512),) * count,
        modes=("grey uint8",) * count,
        low=(0.0,) * count,
        high=(255.0,) * count,
        boxes=(((0.05, 0.95), (0.05, 0.95)),) * count,
        whole=pictures,
        content=pictures,
        detail=np.stack([pictures.repeat(2, axis=1).repeat(2, axis=2)] * 3, axis=1),
        unreadable={},
        holes=(0.0,) * count,
    )
    timer = Timer()
    found = find_copies([index])
    return [row(timer, "search", count, len(found.pairs))]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=10_000, metavar="N")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="with class folders of images")
    parser.add_argument("--thumbnails", type=int, default=50_000, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if options.folder:
        rows += whole_audit(options.folder)
    elif options.images:
        with tempfile.TemporaryDirectory() as folder:
            write_images(Path(folder), options.images)
            rows += whole_audit(Path(folder))
    if options.thumbnails:
        rows += search(options.thumbnails)
    print(tabulate(rows, headers="keys", tablefmt="github"))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
