"""The samples that all networks find hard, and those that the audit found in conflict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mritk.evaluate.sample_losses import sample_losses
from mritk.results.table import Table
from mritk.store.record import Predictions

MOST = 24
NAMES = 3


@dataclass(frozen=True)
class HardSample:
    """A test sample.

    Attributes:
        target: Its class, or value.
        loss: Mean log loss (or absolute error) over the trials.
        wrong: Number of trials that decide otherwise.
        taken_for: The classes that it is most often taken for.
    """

    id: str
    target: str
    loss: float
    wrong: int
    trials: int
    taken_for: str


def hardest_first(table: Table) -> dict[str, list[float]]:
    """Return the losses of each test sample in the trials, by id; the greatest mean first.

    A loss that is NaN or infinite has no place in an order: that trial says nothing of the sample.
    """
    losses: dict[str, list[float]] = defaultdict(list)
    for test, found in _judged(table):
        for name, loss in zip(test.id, found.tolist(), strict=True):
            losses[name].append(loss)
    return dict(sorted(losses.items(), key=lambda item: (-float(np.mean(item[1])), item[0])))


def hardest(table: Table) -> list[HardSample]:
    """Return the test samples with the greatest mean loss over all trials of a table."""
    losses = hardest_first(table)
    decided: dict[str, list[int]] = defaultdict(list)
    target: dict[str, float] = {}
    for test, _ in _judged(table):
        target.update(zip(test.id, test.target.tolist(), strict=True))
        if table.task.classes:
            for name, choice in zip(test.id, test.score.argmax(axis=1).tolist(), strict=True):
                decided[name].append(choice)
    worst = list(losses.items())[:MOST]
    return [_sample(table, name, target[name], each, decided[name]) for name, each in worst]


def _judged(table: Table) -> Iterator[tuple[Predictions, np.ndarray]]:
    """Yield of each trial the test samples whose loss is a number, and their losses."""
    for record in table.every_record:
        test = record.predictions["test"]
        losses = sample_losses(table.task, test.target, test.score)
        known = np.isfinite(losses)
        yield (test, losses) if known.all() else (test.only(known), losses[known])


def _sample(
    table: Table, name: str, target: float, losses: list[float], decided: list[int]
) -> HardSample:
    task = table.task
    mean = float(np.mean(losses))
    text = f"{task.target_text(target)} {task.unit}".strip()
    if not task.classes:
        return HardSample(name, text, mean, 0, len(losses), "")
    wrong = [choice for choice in decided if choice != int(target)]
    counts = sorted(set(wrong), key=lambda choice: (-wrong.count(choice), choice))
    taken_for = ", ".join(task.classes[choice] for choice in counts[:NAMES])
    return HardSample(name, text, mean, len(wrong), len(losses), taken_for)


def conflicts(table: Table) -> list[str]:
    """Return what the audit says of copies under different labels, one text each."""
    found: dict[str, None] = {}
    for record in table.every_record:
        for finding in record.audit.get("findings", []):
            if finding.get("kind") == "labels":
                found.update(dict.fromkeys(finding.get("items") or [finding["text"]]))
    return list(found)[:MOST]
