"""How many trainings side by side pay: another one as long as all of them become faster.

Four always do, as far as was seen: they make 1.3 (ConvNeXt-Tiny, 224 px, batch size 32) to 2.3
times (EfficientNet-Lite0, 96 px, batch size 16) the images/s of one on an H200 (2026-11-28), and
short trials are over before their speed could be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

# The last lane has paid if images/s in all have grown by so much.
GROWTH = 1.05
# A lane counts once it has made so many steps: the first ones build kernels and record graphs.
SETTLED = 8
# How long, and for how many steps of each lane, images/s are measured.
WINDOW_S, STEPS = 0.25, 8
FIRST, MOST = 4, 16


class Progress(Protocol):
    """What is known of a lane."""

    @property
    def steps(self) -> int:
        """Steps so far."""

    @property
    def images(self) -> int:
        """Images computed so far."""


class Growth:
    """Looks at lanes from time to time and decides how many there should be.

    Attributes:
        width: How many lanes there may be.
    """

    def __init__(self) -> None:
        self.width = FIRST
        self._rate = 0.0
        self._full = False
        self._before: tuple[tuple[Progress, ...], float, int, int] | None = None

    def forget(self) -> None:
        """Compare no more with what was measured so far: the trainings are of another kind."""
        self._rate, self._full, self._before = 0.0, False, None

    def look(self, lanes: Sequence[Progress], now: float) -> None:
        """Look at the lanes at a time ``now``, in seconds."""
        if self._full or len(lanes) < self.width or any(one.steps < SETTLED for one in lanes):
            self._before = None
            return
        images, steps = sum(one.images for one in lanes), min(one.steps for one in lanes)
        if self._before is None or set(self._before[0]) != set(lanes):
            self._before = tuple(lanes), now, images, steps
            return
        _, began, images_then, steps_then = self._before
        if now - began < WINDOW_S or steps - steps_then < STEPS:
            return
        rate = (images - images_then) / (now - began)
        self._before = None
        if rate < GROWTH * self._rate or self.width >= MOST:
            self._full = True
            return
        self._rate = rate
        self.width += 1
