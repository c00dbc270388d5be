"""One division of samples into parts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from mritk.data.samples import Samples
from mritk.reading.parts import SPLITS


@dataclass(frozen=True, eq=False)
class Fold:
    """One division: every sample is in exactly one of five parts. Rows are sorted.

    Where the split rule says ``validation = "test"``, the validation part is the test part.

    Attributes:
        train: Rows of the training part.
        val: Rows of the validation part.
        test: Rows of the test part.
        dropped: Rows left out of training or validation, because they are of a patient, or copies
            of a sample, of another part.
        unused: Rows of the training part that a draw of shots or patients leaves out.
        clean: (len(test),) bool; True where training and validation hold no sample of the patient
            and no copy, as they were before anything was dropped. Where copies are kept: as they
            are.
    """

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    dropped: np.ndarray
    unused: np.ndarray
    clean: np.ndarray

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """The rows of each part by its name: train, val, test; dropped and unused if not empty."""
        parts = {"train": self.train, "val": self.val, "test": self.test}
        others = {"dropped": self.dropped, "unused": self.unused}
        return parts | {name: rows for name, rows in others.items() if len(rows)}


def fold_digest(samples: Samples, fold: Fold) -> str:
    """Return the SHA-256 of a division: over the sorted ids of train, val and test, as JSON.

    It does not depend on the order of the samples.
    """
    ids = {name: sorted(samples.ids[row] for row in fold.parts[name]) for name in SPLITS}
    return hashlib.sha256(json.dumps(ids, sort_keys=True).encode()).hexdigest()
