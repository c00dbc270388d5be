"""Maps of what the network of a trial looked at, sealed in one HDF5 file per trial.

Layout, schema 1:

    /                     attributes: digest (:mod:`mritk.store.content`), schema, trial, classes,
                          model (SHA-256 of the network's file), dataset_fingerprint
    /samples              table of the N cases: id, patient, unit, target (its class, whose output
                          is explained), lesion (number of places of its mask; -1: it has none)
    /maps/EXPLAINER/N     float32 map of the Nth case on its own grid, signed
    /scores/ROW           (N, columns) float64; a row is an explainer, its control with random
                          weights, or random places. Attribute columns: their names
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from mritk.errors import StoreError, one_line
from mritk.files.regular_file import is_regular_file
from mritk.store.arrays import store, table, texts
from mritk.store.content import SEAL, Content
from mritk.store.folder import ResultsFolder
from mritk.store.raw_seal import seal_holds
from mritk.store.trial_file import write_hdf5

EXPLANATIONS = "explanations"
SCHEMA = 1
TEXTS = ("id", "patient", "unit")
# A row of scores that belongs to no explainer, and the ending of controls.
RANDOM_PLACES, RANDOM_WEIGHTS = "random places", ", random weights"


@dataclass(frozen=True, eq=False)
class Explanations:
    """What is known of the maps of one trial's network on N cases.

    Attributes:
        trial: Id of the trial.
        model: SHA-256 of the network's file.
        dataset_fingerprint: Of the data.
        classes: Names of the classes.
        id: Ids of the samples.
        patient: Their patients, ``""`` where unknown.
        unit: What is resampled as one.
        target: (N,) int64, the class of each.
        lesion: (N,) int64, number of places of its lesion; -1: it has no mask.
        maps: By explainer: N maps, float32 of the shape of the sample, signed.
        columns: Names of the scores.
        scores: By row: (N, columns) float64, NaN where a case has no value. Rows are explainers,
            those with :data:`RANDOM_WEIGHTS` behind the name, and :data:`RANDOM_PLACES`.
    """

    trial: str
    model: str
    dataset_fingerprint: str
    classes: tuple[str, ...]
    id: Sequence[str]
    patient: Sequence[str]
    unit: Sequence[str]
    target: np.ndarray
    lesion: np.ndarray
    maps: Mapping[str, Sequence[np.ndarray]]
    columns: tuple[str, ...]
    scores: Mapping[str, np.ndarray]

    @property
    def explainers(self) -> tuple[str, ...]:
        """Names of the explainers."""
        return tuple(self.maps)

    @property
    def located(self) -> np.ndarray:
        """Which cases have a lesion, (N,) bool."""
        return np.asarray(self.lesion > 0)


def explanations_path(results: Path, trial_id: str) -> Path:
    """Return where the explanations of a trial stand unless another folder is asked for."""
    return results / EXPLANATIONS / f"{trial_id}.h5"


def write_explanations(found: Explanations, path: Path) -> None:
    """Write explanations, whole or not at all.

    Raises:
        StoreError: They cannot be written.
    """
    write_hdf5(path, lambda file: _fill(found, file))


def _fill(found: Explanations, file: h5py.File) -> None:
    file.attrs["schema"] = SCHEMA
    for name in ("trial", "model", "dataset_fingerprint"):
        file.attrs[name] = getattr(found, name)
    file.attrs["classes"] = list(found.classes)
    columns = {name: getattr(found, name) for name in (*TEXTS, "target", "lesion")}
    store(file, "samples", table(columns))
    for explainer, maps in found.maps.items():
        group = file.create_group(f"maps/{explainer}")
        for number, one in enumerate(maps):
            how = {"chunks": one.shape, "compression": "gzip", "shuffle": True}
            group.create_dataset(str(number), data=np.asarray(one, dtype=np.float32), **how)
    for row, scores in found.scores.items():
        stored = file.create_dataset(f"scores/{row}", data=np.asarray(scores, dtype=np.float64))
        stored.attrs["columns"] = list(found.columns)
    file.attrs[SEAL] = Content(file).digest()


def stored_explanations(results: ResultsFolder, trial_id: str) -> Explanations | None:
    """Return the explanations of a trial; None if there are none.

    Raises:
        StoreError: Their file is damaged, or cannot be read.
    """
    path = explanations_path(results.path, trial_id)
    return read_explanations(path) if is_regular_file(path) else None


def read_explanations(path: Path) -> Explanations:
    """Return the content of a file of explanations.

    Raises:
        StoreError: It cannot be read, or was modified after it was written.
    """
    again = "repeat 'mritk explain'"
    try:
        content = path.read_bytes()
        if not seal_holds(content):
            raise StoreError(f"{path} was modified after it was written; {again}")
        with h5py.File(io.BytesIO(content), "r") as file:
            found = Content(file)
            if found.digest() != found.attrs[SEAL] or int(found.attrs["schema"]) > SCHEMA:
                raise StoreError(f"{path} was written by a newer mritk; {again}")
            return _read(found)
    except StoreError:
        raise
    except Exception as error:  # damage can surface as nearly any exception of h5py
        raise StoreError(f"{path} cannot be read ({one_line(error)}); {again}") from error


def _read(file: Content) -> Explanations:
    rows = file["samples"][()]
    scores = file["scores"]
    first = next(iter(scores.values()))
    return Explanations(
        trial=str(file.attrs["trial"]),
        model=str(file.attrs["model"]),
        dataset_fingerprint=str(file.attrs["dataset_fingerprint"]),
        classes=tuple(map(str, file.attrs["classes"])),
        **{name: texts(rows[name]) for name in TEXTS},
        target=rows["target"].astype(np.int64),
        lesion=rows["lesion"].astype(np.int64),
        maps={
            name: [group[str(row)][()] for row in range(len(rows))]
            for name, group in file["maps"].items()
        },
        columns=tuple(map(str, first.attrs["columns"])),
        scores={name: dataset[()] for name, dataset in scores.items()},
    )
