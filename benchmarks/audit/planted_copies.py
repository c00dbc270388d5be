"""How well the audit finds planted copies, and how often it cries wolf.

    python -m benchmarks.audit.planted_copies [--few | --altered] [--json FILE]

For every kind of copy, each image of a clean collection gets one copy; the audit then searches the
collection with all copies in it. Recall is the share of copies that are in the cluster of their
original (for pictures with something else in them, which are no copies, the share that is taken
for one); a false pair connects two images of different origin. The clean collections are the
phantom (several slices of each patient) and all slices, 1 mm apart, of the MNI152 average in three
planes: neighbours of the smoothest head there is, the hardest case for false pairs. (Its right half
is the mirror image of its left half, to the last bit, so sagittal slices are taken from one half.)

With --few: a tenth of the images, 48 of the phantom and a run of 12 neighbours of each plane.

With --altered: only the copies that need registration, on what no threshold was chosen on (phantom
patients of the second half, neighbouring axial slices); and every other of the slices altered among
the rest, where no pair is right.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.audit.plants import ALTERED, EVERYWHERE, HARD, HELD, OTHERS, Plant
from mritk import Classification, Samples, Workspace
from mritk.audit.copies import find_copies
from mritk.audit.image_index import image_index

# The shape of an axial slice of the MNI152 average.
AXIAL = (233, 197)


def as_samples(images: Sequence[np.ndarray]) -> Samples:
    """Return images as samples of a dataset whose classes mean nothing."""
    return Samples(
        ids=[f"image-{i:05d}" for i in range(len(images))],
        targets=np.arange(len(images)) % 2,
        task=Classification(("a", "b")),
        read=lambda i: images[i],
    )


def score(
    images: Sequence[np.ndarray], plant: Plant | None, workspace: Workspace
) -> dict[str, float]:
    """Return recall and the number of false pairs among ``images`` and their planted copies.

    Signatures of the images are kept in the workspace, for the next kind of copy.
    """
    copies = [np.ascontiguousarray(plant(image)) for image in images] if plant else []
    parts = [as_samples(part) for part in (images, copies) if part]
    found = find_copies([image_index(part, workspace) for part in parts])
    origin = np.arange(len(images) + len(copies)) % len(images)
    false = sum(origin[pair.one] != origin[pair.other] for pair in found.pairs)
    clusters = found.clusters
    recall = np.mean(clusters[len(images) :] == clusters[: len(copies)]) if copies else np.nan
    return {"images": len(images), "recall": float(recall), "false pairs": int(false)}


def false_among_neighbours(images: Sequence[np.ndarray], plant: Plant, workspace: Workspace) -> int:
    """Return the number of pairs among every other image and the rest, altered: none is right."""
    mixed = [plant(image) if number % 2 else image for number, image in enumerate(images)]
    samples = as_samples([np.ascontiguousarray(image) for image in mixed])
    return len(find_copies([image_index(samples, workspace)]).pairs)


def phantom(workspace: Workspace) -> list[np.ndarray]:
    """Return all images of the phantom."""
    from mritk.plugins.registry import Registry

    samples = Registry.load().dataset("phantom").open(workspace)
    return [samples.read(i) for i in range(len(samples))]


def average_head(step: int = 1) -> list[np.ndarray]:
    """Return every ``step``-th slice of the MNI152 average, 1 mm apart, in three planes."""
    from nilearn.datasets import load_mni152_template

    volume = load_mni152_template(resolution=1).get_fdata()
    volume = np.clip(volume / volume.max() * 255, 0, 255).astype(np.uint8)
    slices = []
    for axis in range(3):
        planes = np.moveaxis(volume, axis, 0)
        planes = planes[: (len(planes) + 1) // 2] if axis == 0 else planes
        inside = np.flatnonzero((planes > 20).mean(axis=(1, 2)) > 0.02)
        slices += [np.rot90(planes[k]) for k in inside[::step]]
    return [np.ascontiguousarray(image) for image in slices]


def runs(slices: Sequence[np.ndarray], length: int = 12) -> list[np.ndarray]:
    """Return a run of neighbours from the middle of every plane."""
    shapes = [image.shape for image in slices]
    middles = [shapes.index(shape) + shapes.count(shape) // 2 for shape in dict.fromkeys(shapes)]
    return [image for middle in middles for image in slices[middle : middle + length]]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--altered", action="store_true", help="altered copies, held-out images")
    parser.add_argument("--few", action="store_true", help="a tenth of the images")
    options = parser.parse_args()
    workspace = Workspace.from_environment()
    heads, slices = phantom(workspace), average_head()
    images = {"phantom": heads, "MNI152": slices}
    if options.few:
        images = {"phantom": heads[::10], "MNI152": runs(slices)}
    if options.altered:
        axial = [image for image in slices if image.shape == AXIAL]
        images = {"phantom": heads[240::5], "MNI152": axial[50:86]}
    rows: list[dict[str, Any]] = []
    kinds: dict[str, Plant | None] = {"none (clean)": None}
    kinds |= ALTERED if options.altered else {**EVERYWHERE, **HELD, **HARD, **OTHERS}
    for kind, plant in kinds.items():
        row: dict[str, Any] = {"copy": kind}
        for name, collection in images.items():
            if plant is not None and kind in EVERYWHERE:
                result = score([plant(image) for image in collection], None, workspace)
            else:
                result = score(collection, plant, workspace)
            row[f"{name} recall"] = result["recall"]
            row[f"{name} false pairs"] = result["false pairs"]
        if options.altered and plant is not None:
            row["among neighbours"] = false_among_neighbours(images["MNI152"], plant, workspace)
        rows.append(row)
        print(row, flush=True)
    print(tabulate(rows, headers="keys", tablefmt="github", floatfmt=".3f"))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
