"""Tell ``test`` beside ``retest``, two scans of a patient, from the official part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mritk.reading.parts import part_of
from mritk.reading.scan_tree import ScanFolder
from mritk.reading.spelling import canonical_name

TWO_SCANS = frozenset({"test", "retest"})


def parts_in(
    folder: ScanFolder, *, of_study: bool = False
) -> Iterator[tuple[ScanFolder, str | None]]:
    """Yield the folders in ``folder``, each with the part that it is called as.

    ``test`` is none beside ``retest``, unless another part is there, too. Nor is it in the folder
    of a patient of a test–retest study who did not come again.

    Args:
        folder: Where to look.
        of_study: Whether ``folder`` is one of the :func:`are_of_retest_study`.
    """
    names = _names(folder)
    parts = {part_of(name) for name in names}
    two_scans = of_study or (names >= TWO_SCANS and parts.isdisjoint({"train", "val"}))
    for child in folder.folders:
        is_scan = two_scans and canonical_name(child.name) == "test"
        yield child, None if is_scan else part_of(child.name)


def are_of_retest_study(folders: Sequence[ScanFolder]) -> bool:
    """Return whether those are folders of patients with ``test`` and ``retest``, or one of them.

    One patient has both, and none has anything else: beside ``dev``, say, or beside images of no
    such folder, ``test`` may be the official part.
    """
    each = [_names(folder) for folder in folders]
    return (
        TWO_SCANS in each
        and all(names <= TWO_SCANS for names in each)
        and not any(folder.scans for folder in folders)
    )


def _names(folder: ScanFolder) -> frozenset[str]:
    return frozenset(canonical_name(child.name) for child in folder.folders)
