"""A rule of the gate: which difference between two folders is tolerated."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from mritk.errors import UsageError

RULE = re.compile(
    r"^\s*(?P<metric>\w+(\[[^\]]+\])?)\s*(?P<sign>[<>])\s*"
    r"(?P<number>[-+]?(\d+\.?\d*|\.\d+)(e-?\d+)?)\s*(?P<unit>pt)?\s*$"
)


@dataclass(frozen=True)
class Rule:
    """A tolerated difference: ``balanced_accuracy < -1.0pt`` fails a fall by more than a point.

    Attributes:
        metric: Name of the metric.
        below: Whether a difference below the tolerance fails, or one above.
        tolerance: In the unit of the metric.
        in_points: Whether it was written in pt, of which messages tell.
    """

    metric: str
    below: bool
    tolerance: float
    in_points: bool = field(default=False, compare=False)

    @classmethod
    def from_text(cls, text: str) -> Rule:
        """Return the rule ``METRIC < NUMBER[pt]`` or ``METRIC > NUMBER[pt]``; pt are hundredths.

        Raises:
            UsageError: It is not of this form.
        """
        match = RULE.match(text)
        if match is None or math.isinf(float(match["number"])):
            raise UsageError(
                f"cannot read the rule {text!r}; write it as 'balanced_accuracy < -1.0pt' or "
                f"'log_loss > 0.05' (head minus base; pt: hundredths)"
            )
        tolerance = float(match["number"]) / (100 if match["unit"] else 1)
        return cls(match["metric"], match["sign"] == "<", tolerance, bool(match["unit"]))

    def require_possible(self, bounds: tuple[float, float]) -> None:
        """Refuse a tolerance that no difference can exceed, such as one whose ``pt`` was forgotten;
        and pt of a metric without an upper bound, in whose unit a hundredth means nothing.

        Args:
            bounds: Minimum and maximum possible value of the metric.

        Raises:
            UsageError: No two values are that far apart, or pt are of a metric without an upper
                bound.
        """
        most = bounds[1] - bounds[0]
        if self.in_points and math.isinf(bounds[1]):
            raise UsageError(
                f"the rule '{self.typed}' is in percentage points, but {self.metric} has no "
                "largest value; write the difference without pt, in the unit of the metric"
            )
        if abs(self.tolerance) < most:
            return
        scale, unit = (100, "pt") if self.in_points else (1, "")
        forgotten = not unit and abs(self.tolerance) / 100 < most
        remedy = f"did you mean '{self}pt'?" if forgotten else "write a smaller difference"
        raise UsageError(
            f"the rule '{self.typed}' says nothing: values of {self.metric} are never more than "
            f"{scale * most:g}{unit} apart; {remedy}"
        )

    def require_direction(self, higher_is_better: bool | None, rules: Iterable[Rule]) -> None:
        """Refuse a rule that fails improvements and lets every regression pass.

        Args:
            higher_is_better: Direction of the metric; None: it has none, and no rule is refused.
            rules: All that are given. Beside one of the other direction on the same metric, this
                one is meant: the value is to stay as it is.

        Raises:
            UsageError: A change for the better is all that could break it.
        """
        if higher_is_better is None or higher_is_better == self.below:
            return
        if any(rule.metric == self.metric and rule.below != self.below for rule in rules):
            return
        better, sign = ("higher", -1) if higher_is_better else ("lower", 1)
        tolerance = sign * abs(self.tolerance) + 0.0  # and not -0
        meant = replace(self, below=higher_is_better, tolerance=tolerance)
        raise UsageError(
            f"{self.metric} is better when {better}, so the rule '{self.typed}' fails on "
            f"improvements and passes regressions; use '{meant.typed}'"
        )

    @property
    def typed(self) -> str:
        """The rule as it was written: in pt, if it was in pt."""
        return f"{replace(self, tolerance=100 * self.tolerance)}pt" if self.in_points else str(self)

    def __str__(self) -> str:
        return f"{self.metric} {'<' if self.below else '>'} {self.tolerance:g}"
