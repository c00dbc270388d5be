"""Labels and regions of a task as nnU-Net's ``dataset.json`` has them."""

from __future__ import annotations

from typing import Any

from mritk import Segmentation


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
    """
    plain = {"labels": {name: value for value, name in enumerate(task.labels)}}
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
    labels = {"background": 0, **{name: sorted(values[name]) for name in order}}
    return {"labels": labels, "regions_class_order": own}
