"""The phantom on disk: made once, complete or not there at all.

Layout of the folder ``<workspace>/phantom/<key>/``:

    samples.json          one row per slice: id, patient, site, class, plane, index, offset_mm
    images.npy            uint8 (N, size, size), the slices in the order of samples.json
    lesions.npy           uint8 (N, size, size), 0 none, 1 oedema, 2 solid, 3 necrosis or cyst
    volumes/PATIENT.npz   volume and lesion, uint8 (X, Y, Z); affine (4, 4); sella (3,) in mm
    complete.json         the recipe, and size and SHA-256 of the files above; written last
"""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from mritk import Classification, Samples, Workspace, available_cores
from mritk_phantom.anatomy import load_anatomy
from mritk_phantom.folder import is_made, made_folder
from mritk_phantom.recipe import CLASSES, PLANES, Recipe

log = logging.getLogger("mritk_phantom")

HASHED = ("images.npy", "lesions.npy", "samples.json")


def open_samples(recipe: Recipe, workspace: Workspace) -> Samples:
    """Return the slices of a phantom, generating it first if this machine does not have it.

    Args:
        recipe: What to generate.
        workspace: Where generated data live.

    Raises:
        mritk.errors.Unavailable: It has to be generated and nilearn is not installed.
    """
    folder = ensure(workspace, recipe)
    rows = json.loads((folder / "samples.json").read_text())
    images = np.load(folder / "images.npy", mmap_mode="r")
    lesions = np.load(folder / "lesions.npy", mmap_mode="r")
    return Samples(
        ids=tuple(row["id"] for row in rows),
        targets=np.array([CLASSES.index(row["class"]) for row in rows], dtype=np.int64),
        task=Classification(CLASSES),
        read=lambda i: np.array(images[i]),
        patients=tuple(row["patient"] for row in rows),
        sites=tuple(row["site"] for row in rows),
        read_lesion=lambda i: np.array(lesions[i]),
    )


def ensure(workspace: Workspace, recipe: Recipe, *, workers: int | None = None) -> Path:
    """Return the folder of a complete phantom, generated now if need be.

    Any number of threads (None: one per core) generates the same.
    """
    return made_folder(
        workspace, recipe, lambda draft: generate(draft, recipe, workers=workers), HASHED
    )


def is_generated(recipe: Recipe, workspace: Workspace) -> bool:
    """Return whether this machine has a phantom.

    Raises:
        mritk.errors.Unavailable: It has not, and nilearn is not installed.
    """
    return is_made(workspace, recipe, HASHED)


def generate(folder: Path, recipe: Recipe, *, workers: int | None = None) -> None:
    """Write a phantom into an empty folder.

    Threads do here, because numpy and scipy compute outside Python's global lock.
    """
    from mritk_phantom.cohort import Patient, cohort
    from mritk_phantom.healthy import uptake_map
    from mritk_phantom.patient import scan_patient
    from mritk_phantom.scanner import SITES

    uptake_map(load_anatomy(recipe.resolution))
    (folder / "volumes").mkdir()

    def make(patient: Patient) -> tuple[list[dict[str, Any]], np.ndarray, np.ndarray]:
        scan = scan_patient(patient, recipe)
        np.savez_compressed(
            folder / "volumes" / f"{patient.name}.npz",
            volume=scan.volume,
            lesion=scan.lesion,
            affine=scan.affine,
            sella=scan.sella,
        )
        rows = [
            {
                "id": f"{patient.name}/{cut.name}",
                "patient": patient.name,
                "site": SITES[patient.site].name,
                "class": CLASSES[patient.target],
                "plane": PLANES[cut.axis],
                "index": cut.index,
                "offset_mm": round(cut.offset, 2),
            }
            for cut in scan.cuts
        ]
        return rows, scan.images, scan.masks

    patients = cohort(recipe.patients, recipe.seed)
    rows, images, masks = [], [], []
    with ThreadPoolExecutor(workers or available_cores()) as pool:
        for done, (some, image, mask) in enumerate(pool.map(make, patients), start=1):
            rows += some
            images.append(image)
            masks.append(mask)
            if done % 10 == 0 or done == len(patients):
                log.info("generated %d of %d patients", done, len(patients))
    np.save(folder / "images.npy", np.concatenate(images))
    np.save(folder / "lesions.npy", np.concatenate(masks))
    (folder / "samples.json").write_text(json.dumps(rows, indent=1))
