"""Metrics of plugins as commands compute them: what one raises becomes a line that names it.

What they are given is shared with all other metrics, so they may not write to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mritk.errors import HookError, MritkError
from mritk.evaluate.metric import MEAN_OF_CASES, MEANS_OF_CASES, Metric, Undefined
from mritk.plugins.loaded import check_command, reason_of
from mritk.records import Origin

CALLED = ("function", "resampled", "left_out", "measure")
OF_MRITK = (None, MEAN_OF_CASES, MEANS_OF_CASES)


def guarded_metric(metric: Metric) -> Metric:
    """Return the metric; its functions raise :class:`HookError` where those of the plugin fail."""
    calls = {name: getattr(metric, name) for name in CALLED}
    guarded: dict[str, Any] = {
        name: _Guarded(metric.name, metric.origin, call)
        for name, call in calls.items()
        if call not in OF_MRITK
    }
    return replace(metric, **guarded)


@dataclass(frozen=True)
class _Guarded:
    metric: str
    origin: Origin
    call: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        import numpy as np

        from mritk.evaluate.resamples import read_only

        given = [read_only(one) if isinstance(one, np.ndarray) else one for one in arguments]
        try:
            found = self.call(*given)
            np.add(found, 0.0)  # raises for None and texts, which would end mritk's own lines
        except (Undefined, MritkError):  # meant for a person
            raise
        except Exception as error:
            raise HookError(
                f"metric {self.metric} of {self.origin} failed: "
                f"{reason_of(error, 'hook mritk_metrics')}; report it to the author; for details: "
                f"{check_command(self.metric, self.origin, self.call)}"
            ) from error
        return found
