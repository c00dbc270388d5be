"""Which samples belong together: those of one patient, and copies of one image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mritk.data.samples import Samples


def units(samples: Samples, copies: np.ndarray | None = None) -> np.ndarray:
    """Return for every sample the number of its unit, the smallest set that no split may divide.

    A unit is a connected component: samples belong together if they are of one patient, if they
    are copies, or if a chain of such links joins them. Without patient ids every scan is a patient
    of its own, together with what was made from it.

    Args:
        samples: N samples.
        copies: (N,) int64; equal numbers are copies of each other. None: no copies are known.

    Returns:
        (N,) int64. Units are numbered from 0 by their smallest patient id (or sample id), so that
        the numbers do not depend on the order of the samples.

    Raises:
        ValueError: ``copies`` is not one whole number per sample.
    """
    owners = samples.patients if samples.patients is not None else _origins(samples)
    _, patient = np.unique(np.asarray(owners, dtype=str), return_inverse=True)
    if copies is None or not len(samples):
        return patient.astype(np.int64)
    if copies.shape != patient.shape or not np.issubdtype(copies.dtype, np.integer):
        raise ValueError(
            f"copies have shape {copies.shape} and dtype {copies.dtype}; expected one integer for "
            f"each of {len(samples)} samples"
        )
    _, cluster = np.unique(copies, return_inverse=True)
    return _components(patient, cluster)[patient]


def _origins(samples: Samples) -> Sequence[str]:
    """Return the scan of each sample, or of the one that it was made from."""
    if samples.made_from is None:
        return samples.owners
    own = dict(zip(samples.ids, samples.owners, strict=True))
    return [own.get(of or id_, of) for of, id_ in zip(samples.made_from, samples.ids, strict=True)]


def unit_names(samples: Samples, copies: np.ndarray | None = None) -> list[str]:
    """Return for every sample the name of its unit: the smallest id among the unit's samples."""
    numbers = units(samples, copies).tolist()
    names: dict[int, str] = {}
    for number, name in zip(numbers, samples.ids, strict=True):
        names[number] = min(name, names.get(number, name))
    return [names[number] for number in numbers]


def _components(patient: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Return for every patient the number of its component; the samples are the links."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    patients = int(patient.max()) + 1
    nodes = patients + int(cluster.max()) + 1
    links = coo_array((np.ones(len(patient)), (patient, patients + cluster)), (nodes, nodes))
    _, found = connected_components(links, directed=False)
    _, first, component = np.unique(found[:patients], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[component].astype(np.int64)
