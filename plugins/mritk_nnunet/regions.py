"""Labels and regions of a task as nnU-Net's ``dataset.json`` has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mritk import Segmentation, UsageError

# nnU-Net's label 0, whatever a task calls it, and that of voxels which it leaves out of the loss.
BACKGROUND, IGNORED = "background", "ignore"


def trained_names(task: Any, *, regions: bool) -> list[str]:
    """Return the labels, or regions, that nnU-Net trains on, in its order."""
    _, *names = labels_of(task, regions=regions)["labels"]
    return names


def labels_of(task: Segmentation, *, regions: bool) -> dict[str, Any]:
    """Return ``labels``, and ``regions_class_order`` where nnU-Net is to train on regions.

    Args:
        task: Labels and regions.
        regions: Whether regions are wanted. They are taken if each is within the one before and
            their differences are single labels, so that a label map follows from them; otherwise,
            and where no region is a union, labels are.

    Raises:
        UsageError: A name other than that of label 0 is one of nnU-Net's own.
    """
    plain = {"labels": {BACKGROUND: 0, **_named(task.labels[1:])}}
    if not regions:
        return plain
    values = {name: frozenset(task.values_of(name)) for name in task.regions}
    order = sorted(values, key=lambda name: -len(values[name]))
    if len(values[order[0]]) < 2:
        return plain
    own: list[int] = []
    for name, inner in zip(order, [*order[1:], ""], strict=True):
        within = values.get(inner, frozenset())
        rest = values[name] - within
        if not within <= values[name] or len(rest) != 1:
            return plain
        own.append(*rest)
    if values[order[0]] != set(range(1, len(task.labels))):
        return plain  # some label is in no region, and could not be told
    _require_no_own_names("region", order)
    labels = {BACKGROUND: 0, **{name: sorted(values[name]) for name in order}}
    return {"labels": labels, "regions_class_order": own}


def _named(labels: Sequence[str]) -> dict[str, int]:
    """Return the value of each label but the background."""
    _require_no_own_names("label", labels)
    return {name: value for value, name in enumerate(labels, start=1)}


def _require_no_own_names(what: str, names: Sequence[str]) -> None:
    for name in names:
        if name in (BACKGROUND, IGNORED):
            meaning = "label 0" if name == BACKGROUND else "voxels that are left out of the loss"
            raise UsageError(
                f"the {what} {name!r} of the data has a meaning of its own in nnU-Net ({meaning}); "
                f"give it another name"
            )
