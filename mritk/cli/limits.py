"""The options ``--trial-timeout`` and ``--budget``: how long trials, and all of them, may take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from mritk.cli.app import together
from mritk.cli.tell import say
from mritk.errors import UsageError
from mritk.text.duration import seconds_of

if TYPE_CHECKING:
    from mritk.execute.limits import Limits
    from mritk.store.folder import ResultsFolder
    from mritk.study.forecast import Forecast
    from mritk.study.plan import StudyPlan

# What a forecast of a trial's phases leaves out, such as the checkpoints, and a moment's load.
MARGIN_S = 60.0


@dataclass(frozen=True)
class TrialTimeout:
    """A time, or a multiple of the time that a trial is expected to take.

    Attributes:
        text: As it was given.
        seconds: The time; NaN: a multiple.
        factor: The multiple.
    """

    text: str
    seconds: float = math.nan
    factor: float = math.nan


class TimeoutType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """``3x`` or ``2h``."""

    name = "timeout"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> TrialTimeout:
        """Return the timeout, or refuse it."""
        factor = _number(value[:-1]) if value[-1:] == "x" else math.nan
        seconds = seconds_of(value)
        if not (1 < factor < math.inf or seconds):
            self.fail(
                f"{value!r} is neither a multiple above 1 of the expected time, such as 3x, nor "
                "a time, such as 2h, 90m or 45s",
                param,
                ctx,
            )
        return TrialTimeout(value, seconds or math.nan, factor)


class BudgetType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """Hours, or a time with its unit; in seconds."""

    name = "budget"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds, or refuse it."""
        seconds = seconds_of(value) or 3600 * _number(value)
        if not 0 < seconds < math.inf:
            self.fail(f"{value!r} is no time, such as 8 (hours), 2h, 90m or 45s", param, ctx)
        return seconds


def _number(text: str) -> float:
    """Return a number; NaN for other text."""
    try:
        return float(text)
    except ValueError:
        return math.nan


limit_options = together(
    click.option(
        "--budget",
        type=BudgetType(),
        metavar="HOURS",
        help=(
            "Time for the run (8, 2h, 90m): no trial starts that is not expected to end in it; "
            "at its end running ones are checkpointed. The same command continues."
        ),
    ),
    click.option(
        "--trial-timeout",
        type=TimeoutType(),
        metavar="FACTORx|TIME",
        help=(
            "Kill, and retry twice, a trial that trains longer than a multiple of the expected "
            "time (3x), or than a time (2h, 90m)."
        ),
    ),
)


def limits_of(
    plan: StudyPlan,
    forecast: Forecast,
    timeout: TrialTimeout | None,
    budget: float | None,
    began: float,
) -> Limits:
    """Return the limits of a run.

    Args:
        plan: Its trials.
        forecast: What they are expected to take.
        timeout: That of each trial.
        budget: Seconds for all, from ``began`` on, in seconds since 1970.
        began: When the run began.

    Raises:
        UsageError: The timeout is a multiple of what is not known.
    """
    from mritk.execute.limits import Limits
    from mritk.execute.notice import Notice

    seconds = forecast.seconds
    notice = Notice(math.inf if budget is None else began + budget)
    if timeout is None:
        return Limits(notice, forecast)
    if not math.isnan(timeout.seconds):
        return Limits(notice, forecast, {trial.id: timeout.seconds for trial in plan.todo})
    unknown = [trial for trial in plan.todo if trial.id not in seconds]
    if unknown:
        raise UsageError(
            f"--trial-timeout {timeout.text}: how long {unknown[0]} takes is unknown until a trial "
            "that differs from it in fold or seed only is finished; give a time, such as "
            "--trial-timeout 2h"
        )
    each = {t.id: timeout.factor * seconds[t.id] + MARGIN_S for t in plan.todo}
    return Limits(notice, forecast, each)


def tell_left(plan: StudyPlan, results: ResultsFolder, why: str) -> None:
    """Say why a run ended before its trials, and how it goes on."""
    from mritk.store.trial_state import TrialState

    states = list(results.states(trial.id for trial in plan.trials).values())
    begun = states.count(TrialState.INTERRUPTED)
    resumed = f", {begun} interrupted with a checkpoint" if begun else ""
    say(
        f"{why}: {states.count(TrialState.FINISHED)} of {len(plan.trials)} trials are stored in "
        f"{results.path}{resumed}; the same command resumes"
    )
