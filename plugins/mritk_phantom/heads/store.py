"""The phantom of heads on disk, and as samples.

Layout of the folder ``<workspace>/phantom/<key>/``:

    samples.json    one row per scan: id, patient, age, sex, class, site, part, head_volume in ml,
                    and the SHA-256 of each sequence
    volumes.npy     uint8 (N, sequences, D, H, W), in the order of samples.json
    labels.npy      with tumours: uint8 (N, D, H, W), values as in LABELS of heads.sequences
    complete.json   the recipe, and size and SHA-256 of the files above; written last
"""

from __future__ import annotations

import hashlib
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mritk import Classification, Regression, Samples, Segmentation, Workspace, available_cores
from mritk_phantom.folder import is_made, made_folder
from mritk_phantom.heads.recipe import HeadRecipe
from mritk_phantom.recipe import CLASSES

if TYPE_CHECKING:
    from mritk_phantom.heads.people import Person

log = logging.getLogger("mritk_phantom")

# The other files are too large to read at each opening.
HASHED = ("samples.json",)
SEXES = ("female", "male")


def open_heads(
    recipe: HeadRecipe, target: str, sequences: tuple[str, ...], workspace: Workspace
) -> Samples:
    """Return the scans of a phantom of heads, generating it first if this machine does not have it.

    Args:
        recipe: What to generate.
        target: ``age``, ``sex``, ``tumour`` or ``mask``; for masks, patients with a tumour alone.
        sequences: Those shown, of the recipe's. One is a grey volume, more are channels.
        workspace: Where generated data live.

    Raises:
        mritk.errors.Unavailable: It has to be generated and nilearn is not installed.
    """
    from mritk_phantom.heads.sequences import LABELS, REGIONS

    folder = ensure(workspace, recipe)
    rows = json.loads((folder / "samples.json").read_text())
    volumes = np.load(folder / "volumes.npy", mmap_mode="r")
    kept = [i for i, row in enumerate(rows) if target != "mask" or row["class"] != "none"]
    shown = [rows[i] for i in kept]
    channels = [recipe.sequences.index(name) for name in sequences]

    def read(i: int) -> np.ndarray:
        scan = volumes[kept[i]]
        return np.array(scan[channels] if len(channels) > 1 else scan[channels[0]])

    def digest(i: int) -> str:
        told = [shown[i]["sha256"][channel] for channel in channels]
        return told[0] if len(told) == 1 else hashlib.sha256("".join(told).encode()).hexdigest()

    given: dict[str, Any] = {"targets": np.zeros(0)}
    if recipe.cohort == "tumour":
        labels = np.load(folder / "labels.npy", mmap_mode="r")
        reads = "read_target" if target == "mask" else "read_lesion"
        given[reads] = lambda i: np.array(labels[kept[i]])
    if target == "mask":
        given["task"] = Segmentation(LABELS, REGIONS)
    elif target == "age":
        given["task"] = Regression("years")
        given["targets"] = np.array([row["age"] for row in shown])
    else:
        names, column = (SEXES, "sex") if target == "sex" else (CLASSES, "class")
        given["task"] = Classification(names)
        given["targets"] = np.array([names.index(row[column]) for row in shown], dtype=np.int64)
    return Samples(
        ids=tuple(row["id"] for row in shown),
        read=read,
        digest=digest,
        spatial_dims=3,
        patients=tuple(row["patient"] for row in shown),
        sites=tuple(row["site"] for row in shown),
        splits=tuple(row["part"] for row in shown),
        channels=sequences if len(sequences) > 1 else (),
        spacing=np.full((len(shown), 3), recipe.resolution),
        covariates={
            "age": np.array([row["age"] for row in shown]),
            "sex": [row["sex"] for row in shown],
            "scanner": [row["site"] for row in shown],
            "head_volume": np.array([row["head_volume"] for row in shown]),
        },
        **given,
    )


def ensure(workspace: Workspace, recipe: HeadRecipe) -> Path:
    """Return the folder of a complete phantom of heads, generated now if need be."""
    return made_folder(workspace, recipe, lambda draft: generate(draft, recipe), HASHED)


def is_generated(recipe: HeadRecipe, workspace: Workspace) -> bool:
    """Return whether this machine has a phantom of heads.

    Raises:
        mritk.errors.Unavailable: It has not, and nilearn is not installed.
    """
    return is_made(workspace, recipe, HASHED)


def generate(folder: Path, recipe: HeadRecipe) -> None:
    """Write a phantom of heads into an empty folder."""
    from mritk_phantom.heads.people import people
    from mritk_phantom.heads.scan import scan_person
    from mritk_phantom.heads.template import load_template

    load_template(recipe.size)
    cohort = people(recipe.patients, recipe.seed, healthy=recipe.cohort == "healthy")
    total = sum(person.scans for person in cohort)
    shape = (recipe.size,) * 3
    volumes = _array(folder / "volumes.npy", (total, len(recipe.sequences), *shape))
    labels = None
    if recipe.cohort == "tumour":
        labels = _array(folder / "labels.npy", (total, *shape))
    rows: list[dict[str, Any]] = []
    with ThreadPoolExecutor(available_cores()) as pool:
        made = pool.map(partial(scan_person, recipe=recipe), cohort)
        for person, (scans, head_volume) in zip(cohort, made, strict=True):
            for number, scan in enumerate(scans, start=1):
                volumes[len(rows)] = scan.volumes
                if labels is not None:
                    labels[len(rows)] = scan.labels
                told = _row(person, number, head_volume)
                rows.append(told | {"sha256": [_digest(one) for one in scan.volumes]})
            if (person.index + 1) % 50 == 0 or person.index + 1 == len(cohort):
                log.info("generated %d of %d patients", person.index + 1, len(cohort))
    volumes.flush()
    if labels is not None:
        labels.flush()
    (folder / "samples.json").write_text(json.dumps(rows, indent=1))


def _array(path: Path, shape: tuple[int, ...]) -> np.memmap:
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


def _digest(volume: np.ndarray) -> str:
    return hashlib.sha256(repr(volume.shape).encode() + volume.tobytes()).hexdigest()


def _row(person: Person, number: int, head_volume: float) -> dict[str, Any]:
    from mritk_phantom.heads.scanner import SITES

    return {
        "id": f"{person.name}/scan-{number}",
        "patient": person.name,
        "age": person.age,
        "sex": SEXES[person.male],
        "class": CLASSES[person.tumour],
        "site": SITES[person.site].receiver.name,
        "part": person.part,
        "head_volume": round(head_volume, 1),
    }
