"""How the predictions of a part, and the table of samples that they refer to, stand in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from mritk.store.arrays import read_table, smallest, store, store_table, table, texts
from mritk.store.content import Array, Content
from mritk.store.label_maps import LabelMaps
from mritk.store.record import Predictions

TEXTS = ("id", "patient", "site", "source", "unit")
UNTOLD = ("", "", "", "")
OPTIONAL = ("clean", "embedding", "spread")
MAPS = ("masks", "references")


class SampleTable:
    """Every sample that a trial names, once.

    A row is an id with what the predictions tell of it, so that nothing is lost even of a sample
    of which two parts tell different things.
    """

    def __init__(
        self, splits: Mapping[str, Sequence[str]], predictions: Mapping[str, Predictions]
    ) -> None:
        tested = {name: _keys(part) for name, part in predictions.items()}
        told = {key[0]: key for keys in tested.values() for key in keys}
        named = {
            part: [told.get(name, (name, *UNTOLD)) for name in ids] for part, ids in splits.items()
        }
        every = {key for keys in (*named.values(), *tested.values()) for key in keys}
        # What is alike stands together, so that it is compressed well.
        self._keys = sorted(every, key=lambda key: (key[1:] == UNTOLD, key))
        rows = {key: row for row, key in enumerate(self._keys)}
        self.splits, self.parts = (
            {
                name: smallest(np.asarray([rows[key] for key in keys], np.int32))
                for name, keys in of.items()
            }
            for of in (named, tested)
        )

    def as_array(self) -> np.ndarray:
        """Return the table, (rows,) structured."""
        columns = list(zip(*self._keys, strict=True)) or [()] * len(TEXTS)
        return table(dict(zip(TEXTS, columns, strict=True)))


def _keys(part: Predictions) -> list[tuple[str, ...]]:
    return list(zip(*(getattr(part, name) for name in TEXTS), strict=True))


class StoredSamples:
    """The table of samples of a file, as texts."""

    def __init__(self, stored: Array) -> None:
        rows = stored[()]
        self._columns = {name: texts(rows[name]) for name in TEXTS}

    def of(self, rows: np.ndarray, name: str) -> list[str]:
        """Return a column of some rows."""
        column = self._columns[name]
        return [column[row] for row in rows.tolist()]


def write_part(group: h5py.Group, part: Predictions, rows: np.ndarray) -> None:
    """Write the predictions of a part, whose samples are ``rows`` of the table."""
    store(group, "row", rows)
    store(group, "target", smallest(part.target))
    if part.cases:
        store_table(group, "cases", dict(zip(part.cases, part.score.T, strict=True)))
    else:
        store(group, "score", part.score)
    for name in OPTIONAL:
        values = getattr(part, name)
        if values is not None:
            store(group, name, values)
    if part.covariates:
        store_table(group, "covariates", part.covariates)
    for name in MAPS:
        maps = getattr(part, name)
        if maps is not None:
            maps.write(group.create_group(name))


def read_part(group: Content, samples: StoredSamples) -> Predictions:
    """Return the predictions of a part."""
    rows = group["row"][()]
    columns: dict[str, Any] = {name: samples.of(rows, name) for name in TEXTS}
    columns |= {name: group[name][()] for name in OPTIONAL if name in group}
    columns |= {name: LabelMaps.read(group[name]) for name in MAPS if name in group}
    if "cases" in group:
        cases = read_table(group, "cases")
        columns["cases"] = tuple(cases)
        columns["score"] = np.stack(list(cases.values()), axis=1)
    else:
        columns["score"] = group["score"][()]
    if "covariates" in group:
        columns["covariates"] = _covariates(read_table(group, "covariates"))
    target = group["target"][()]
    whole = target.dtype.kind in "iu"
    return Predictions(**columns, target=target.astype(np.int64) if whole else target)


def _covariates(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name: np.asarray(texts(column), dtype=np.str_)
        if column.dtype.kind == "S"
        else np.ascontiguousarray(column)
        for name, column in columns.items()
    }
