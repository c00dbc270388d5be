"""Epochs as nnU-Net's log tells them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from mritk import Epoch

HEADING = re.compile(r"(?:^|: )Epoch (\d+) *$")
VALUE = re.compile(
    r"(?:^|: )(train_loss|val_loss|Pseudo dice|Epoch time:|Current learning rate:) (.+)$"
)
# As Python writes floats, 8e-05 among them; not the 32 of ``np.float32(0.8)``.
NUMBER = re.compile(r"(?<![\w.])-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf|nan)")


class EpochLog:
    """Reads lines of nnU-Net's log, one by one.

    Attributes:
        heading: Number of the epoch that has begun, counted from 1; 0 before the first.
    """

    def __init__(self, epochs: int, names: Sequence[str]) -> None:
        """Take the number of planned epochs, and the names of what the pseudo Dice is of."""
        self._epochs, self._names = epochs, tuple(names)
        self.heading = 0
        self._values: dict[str, list[float]] = {}

    def read(self, line: str) -> Epoch | None:
        """Return the epoch that a line completes; None for any other line."""
        if found := HEADING.search(line):
            self.heading, self._values = int(found[1]) + 1, {}
            return None
        value = VALUE.search(line)
        if value is None or not self.heading:
            return None
        # After a colon or not, names end where numbers begin.
        self._values[value[1].rstrip(":")] = [float(n) for n in NUMBER.findall(value[2])]
        return self._epoch() if value[1] == "Epoch time:" else None

    def _epoch(self) -> Epoch:
        def first(name: str) -> float:
            return (self._values.get(name) or [math.nan])[0]

        dice = self._values.get("Pseudo dice", [])
        named = zip(self._names, dice, strict=False)
        known = [one for one in dice if not math.isnan(one)]
        return Epoch(
            epoch=self.heading,
            epochs=self._epochs,
            stage="all",
            learning_rate=first("Current learning rate"),
            train_loss=first("train_loss"),
            val_loss=first("val_loss"),
            selection=sum(known) / len(known) if known else math.nan,
            seconds=first("Epoch time"),
            extra={f"pseudo dice[{name}]": one for name, one in named},
        )


def epochs_in(lines: Iterable[str], epochs: int, names: Sequence[str]) -> dict[int, Epoch]:
    """Return the complete epochs in a log by number; of several of one number the last."""
    log = EpochLog(epochs, names)
    return {epoch.epoch: epoch for epoch in map(log.read, lines) if epoch is not None}
