"""The arrays of an archive, each loaded when first needed, once for all threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mritk import Recent
from mritk_medmnist.archive import read_array


def shared_arrays(path: Path) -> Recent[str, np.ndarray]:
    """Return the function from keys to arrays, see :func:`mritk_medmnist.archive.read_array`.

    Failing is remembered as well: a damaged array is decompressed once, and not once per sample.
    """
    return Recent(lambda key: read_array(path, key))
