"""How splits, history and predictions stand in trial files of schemas 1 to 4.

    /splits/{train,val,test}          sample ids; dropped and unused likewise
    /history/{epoch,stage,…}          one column per field of an epoch
    /predictions/{val,test}/          id, patient, site, source, unit (since schema 3), target,
                          score; test also clean (since schema 2)

Texts have a variable length. Schema 1 had no audit, 2 no digest, 3 no last line with the digest of
the bytes (:mod:`mritk.store.raw_seal`).
"""

from __future__ import annotations

from typing import Any

from mritk.method import Epoch
from mritk.store.content import Array, Content
from mritk.store.record import Predictions

COLUMNS = (
    "epoch",
    "epochs",
    "stage",
    "learning_rate",
    "train_loss",
    "val_loss",
    "selection",
    "seconds",
)


def read_splits(group: Content) -> dict[str, list[str]]:
    """Return the ids of each part."""
    return {part: read_column(ids) for part, ids in group.items()}


def read_history(group: Content) -> list[Epoch]:
    """Return the epochs."""
    columns = [read_column(group[name]) for name in COLUMNS]
    return [Epoch(*row) for row in zip(*columns, strict=True)]


def read_predictions(group: Content) -> Predictions:
    """Return the predictions of one part."""
    names = ("id", "patient", "site", "source")
    texts: dict[str, Any] = {name: read_column(group[name]) for name in names}
    clean = group["clean"][()] if "clean" in group else None
    unit = read_column(group["unit"]) if "unit" in group else []
    target, score = group["target"][()], group["score"][()]
    return Predictions(**texts, target=target, score=score, clean=clean, unit=unit)


def read_column(array: Array) -> list[Any]:
    """Return the values of a column."""
    values = array[()].tolist()
    return [value.decode() if isinstance(value, bytes) else value for value in values]
