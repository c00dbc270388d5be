"""Tell ``test`` beside ``retest``, two scans of a patient, from the official part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from mritk.reading.parts import part_of
from mritk.reading.scan_tree import ScanFolder
from mritk.reading.spelling import canonical_name


def parts_in(
    folder: ScanFolder, retested: Set[str] = frozenset()
) -> Iterator[tuple[ScanFolder, str | None]]:
    """Yield the folders in ``folder``, each with the part that it is called as.

    ``test`` is none beside ``retest``, unless another part is there, too. Nor is it in a folder
    without scans and with no other folders than ``retested``: that of a patient who did not come
    again.

    Args:
        folder: Where to look.
        retested: The :func:`folders_of_retested` among ``folder`` and those beside it; empty if
            these are no patients.
    """
    names = _names(folder)
    two_scans = _are_two_scans(names) or (not folder.scans and names <= retested)
    for child in folder.folders:
        is_scan = two_scans and canonical_name(child.name) == "test"
        yield child, None if is_scan else part_of(child.name)


def folders_of_retested(patients: Sequence[ScanFolder]) -> frozenset[str]:
    """Return how folders in those patients are called that have both ``test`` and ``retest``.

    None are if any of ``patients`` has a training or validation part: then ``test`` may be one.
    """
    each = [_names(patient) for patient in patients]
    if _besides_test(frozenset().union(*each)):
        return frozenset()
    return frozenset().union(*filter(_are_two_scans, each))


def _are_two_scans(names: Set[str]) -> bool:
    return {"test", "retest"} <= names and not _besides_test(names)


def _besides_test(names: Set[str]) -> bool:
    return not {"train", "val"}.isdisjoint(map(part_of, names))


def _names(folder: ScanFolder) -> frozenset[str]:
    return frozenset(canonical_name(child.name) for child in folder.folders)
