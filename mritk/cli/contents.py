"""What a dataset holds, for ``mritk show``, as far as that costs little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from shlex import quote
from typing import TYPE_CHECKING, Any

from mritk.errors import MritkError

if TYPE_CHECKING:
    from mritk.data.samples import Samples
    from mritk.files.workspace import Workspace
    from mritk.records import Dataset

PACKED = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz")


def contents_of(record: Dataset, typed: str, workspace: Workspace) -> dict[str, Any]:
    """Return the counts of a dataset, or ``not_read``: why it is not opened.

    Args:
        record: The dataset.
        typed: Its name as a person gave it.
        workspace: An offline one; what would first be generated or unpacked is not opened, either.
    """
    from mritk.study.one_dataset import read_samples

    get = f"'mritk fetch -d {quote(typed)}'"
    path = typed.partition(",")[0].partition(":")[2]
    if any(part.lower().endswith(PACKED) for part in PurePath(path).parts):
        return {"not_read": f"in an archive; {get} unpacks and counts it"}
    try:
        if not _is_there(record, workspace):
            return {"not_read": f"not generated yet; {get} generates it"}
        return _counts(read_samples(record, workspace))
    except MritkError as error:
        return {"not_read": str(error)}


def _is_there(record: Dataset | None, workspace: Workspace) -> bool:
    from mritk.study.one_dataset import is_generated

    while record is not None:
        if not is_generated(record, workspace):
            return False
        record = record.inner
    return True


def _counts(samples: Samples) -> dict[str, Any]:
    task = samples.task
    counts = {
        "samples": len(samples),
        "patients": _distinct(samples.patients),
        "sites": _distinct(samples.sites),
        "splits": None if samples.splits is None else dict(Counter(samples.splits)),
        "task": task.kind,
    }
    return counts | (task.summary(samples.targets) or {"targets": task.describe()})


def _distinct(column: Sequence[str] | None) -> int | None:
    return None if column is None else len({*column} - {""})
