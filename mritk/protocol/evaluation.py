"""Which fields of a stored protocol belong to the recipe, and which to the evaluation.

The *evaluation* is what a score is of: which samples are tested, and what is done to every sample
at test time. The *recipe* is how the model was made: method, parameters, size of its input,
selection, which of the training samples it was given. Models of several recipes are ranked
together if their evaluation is the same. A field that this mritk does not know counts as
evaluation: what might make scores incomparable keeps tables apart.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mritk.protocol.stored import StoredProtocol

RECIPE = frozenset(
    {
        "method",
        "parameters",
        "selection",
        "image_size",
        "volume_size",
        "precision",
        "deterministic",
        "normalisation",
        "normalise_again",
        "resize",
    }
)
# Of the table ``split``: what only says which of the samples that are not tested a model was given,
# and for what. Where selection or training used the test part, each number of the row is marked.
RECIPE_OF_SPLIT = frozenset({"shots", "train_patients", "val_fraction", "validation", "unlabelled"})
# Likewise by how a split was made in the end. Where the data prescribe test sets, what becomes of
# copies and how parts are drawn decides on training and validation only.
PRESCRIBED = frozenset({"copies", "seed", "folds", "test_fraction"})
RECIPE_OF_SCHEME = {
    "official": PRESCRIBED,
    "site": PRESCRIBED,
    "holdout": frozenset({"folds"}),
    "kfold": frozenset({"test_fraction"}),
}
SPLIT, SCHEME = "split", "scheme"


def evaluation_of(protocol: StoredProtocol, scheme: str = "") -> dict[str, Any]:
    """Return the fields of a stored protocol that belong to the evaluation.

    Args:
        protocol: The protocol.
        scheme: How its split was made in the end: ``official``, ``site``, ``kfold`` or
            ``holdout``; empty: unknown.
    """
    fields = {name: value for name, value in protocol.data.items() if name not in RECIPE}
    split = fields.get(SPLIT)
    if isinstance(split, Mapping):
        recipe = RECIPE_OF_SPLIT | RECIPE_OF_SCHEME.get(scheme, frozenset())
        fields[SPLIT] = {name: v for name, v in split.items() if name not in recipe}
        if scheme and SCHEME in split:
            fields[SPLIT][SCHEME] = scheme  # what ``auto`` became is the same, asked for by name
        if not fields[SPLIT]:
            del fields[SPLIT]  # says no more than a protocol without the table
    return fields


@lru_cache(maxsize=256)
def evaluation_fingerprint(protocol_json: str, scheme: str = "") -> str:
    """Return the SHA-256 of the evaluation of a canonical JSON of a protocol, in hexadecimal."""
    fields = evaluation_of(StoredProtocol.from_json(protocol_json), scheme)
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def evaluation_differences(
    one: StoredProtocol, other: StoredProtocol, scheme: str = "", other_scheme: str | None = None
) -> list[str]:
    """Return ``key: value | other value`` for each field of the evaluation that differs.

    Args:
        one: A protocol.
        other: Another one.
        scheme: How the split of the first was made, see :func:`evaluation_of`.
        other_scheme: The same of the other; None: in the same way.
    """
    schemes = (scheme, scheme if other_scheme is None else other_scheme)
    pairs = zip((one, other), schemes, strict=True)
    first, second = (StoredProtocol(evaluation_of(protocol, how)) for protocol, how in pairs)
    return first.differences(second)
