"""How long a run, and each of its trials, may take, and what trials are expected to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mritk.execute.notice import Notice
from mritk.study.forecast import Forecast


@dataclass(frozen=True)
class Limits:
    """What ends trials that are not done.

    Attributes:
        notice: Tells when the run must end; trials that are being trained are checkpointed then.
        forecast: What trials are expected to take.
        trials: Seconds after which a trial is taken to hang, by id; others may take any time.
    """

    notice: Notice = field(default_factory=Notice)
    forecast: Forecast = field(default_factory=Forecast)
    trials: Mapping[str, float] = field(default_factory=dict)

    def expected_of(self, trial_id: str) -> float:
        """Return the seconds that a trial may take; 0 where nothing is known of it."""
        return self.forecast.seconds.get(trial_id, 0.0)

    def may_begin(self, trial_id: str) -> bool:
        """Tell whether the run lasts long enough for a trial, as far as anything is known."""
        return self.notice.fits(self.expected_of(trial_id))
