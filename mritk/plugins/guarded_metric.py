"""Metrics of plugins as commands compute them: what one raises becomes a line that names it.

Targets and scores are shared with all other metrics, so none may write to them; the regions that
one measures are its own. What they return is looked at, or a wrong value would end mritk's own
lines, or stand in a table.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mritk.errors import HookError, MritkError, StoreError
from mritk.evaluate.metric import MEAN_OF_CASES, MEANS_OF_CASES, Metric, Undefined
from mritk.files.remedy import refusal_of_disk
from mritk.plugins.loaded import check_command, reason_of

if TYPE_CHECKING:
    import numpy as np

CALLED = ("function", "resampled", "left_out", "measure", "divided_by")
OF_MRITK = (None, MEAN_OF_CASES, MEANS_OF_CASES)
# Of a bound of 1: how far rounding, in single precision too, may put a value beyond it.
ROUNDING = 1e-5
# torch.from_numpy warns of arrays that may not be written to, though a metric only reads them.
READ_ONLY = "The given NumPy array is not writable"


def guarded_metric(metric: Metric) -> Metric:
    """Return the metric; its functions raise :class:`HookError` where those of the plugin fail."""
    return _with(metric, lambda name, call: _Blamed(_Held(metric, name, call)))


def held_metric(metric: Metric) -> Metric:
    """Return the metric, called in the same way; what it may not return is an ordinary error."""
    return _with(metric, lambda name, call: _Held(metric, name, call))


def _with(metric: Metric, around: Callable[[str, Callable[..., Any]], Any]) -> Metric:
    # Not around each call: that would have Python tell every other warning anew in each resample.
    warnings.filterwarnings("ignore", READ_ONLY, UserWarning)
    calls = {name: getattr(metric, name) for name in CALLED}
    return replace(
        metric, **{name: around(name, call) for name, call in calls.items() if call not in OF_MRITK}
    )


@dataclass(frozen=True)
class _Held:
    """A function of a metric, given what commands give, and held to what it may return."""

    metric: Metric
    name: str
    call: Callable[..., Any]

    def __call__(self, *given: Any) -> Any:
        import numpy as np

        from mritk.evaluate.resamples import read_only

        if self.name != "measure":
            given = tuple(read_only(one) if isinstance(one, np.ndarray) else one for one in given)
        found = self._array(self.call(*given))
        self._require(found, *given)
        return found.item() if self._is_scalar else found

    @property
    def _is_scalar(self) -> bool:
        return self.name == "measure" or (self.name == "function" and not self.metric.per_class)

    def _array(self, found: Any) -> np.ndarray:
        """Return what was returned as an array, with NaN where it is masked."""
        import numpy as np

        if isinstance(found, np.ma.MaskedArray) and self.name != "left_out":
            found = np.ma.filled(found * 1.0, np.nan)  # whole numbers have no NaN
        real = hasattr(found, "__float__") and not isinstance(found, np.complexfloating)
        if self._is_scalar and real and np.ndim(found) == 0:
            found = float(found)  # fractions too, which an array would keep as objects
        return np.asarray(found)

    def _require(self, found: np.ndarray, *given: Any) -> None:
        """Refuse what is no number, or not as many as are wanted, or out of bounds.

        Raises:
            TypeError: It is.
            ValueError: It is.
        """
        import numpy as np

        shape: tuple[int | str, ...] = ()
        if self.name in ("resampled", "divided_by"):
            of_classes = self.metric.per_class and self.name == "resampled"
            shape = (len(given[0].weights), *(given[0].scores.shape[1:] if of_classes else ()))
        elif self.name == "left_out":
            shape = (len(given[0]), found.shape[1] if found.ndim == 2 else "columns")  # any width
        elif not self._is_scalar:
            shape = given[1].shape[1:]
        if found.dtype.kind not in "biuf":
            raise TypeError(f"{self.name} returned what is no number ({found.dtype})")
        if found.shape != shape and not (self._is_scalar and found.size == 1):
            wanted = str(shape).replace("'", "") if shape else "one number"
            raise ValueError(f"{self.name} returned an array {found.shape}, not {wanted}")
        low, high = self.metric.bounds
        room = ROUNDING * max([1.0, *(abs(end) for end in (low, high) if math.isfinite(end))])
        values = self._bounded(found, *given).astype(np.float64)
        beyond = values[(values < low - room) | (values > high + room)]  # not NaN
        if beyond.size:
            raise ValueError(f"{beyond[0]:.6g} is outside its bounds, {low:g} to {high:g}")

    def _bounded(self, found: np.ndarray, *given: Any) -> np.ndarray:
        """Return what of it are values of the metric, or what it is the mean of."""
        import numpy as np

        if self.name == "measure" and self.metric.function is MEAN_OF_CASES:
            return found[np.isfinite(found)]
        if self.name == "resampled":  # where nothing has weight there is no value
            drawn = given[0].confusion.sum(axis=2) if self.metric.per_class else given[0].total
            return found[drawn > 0]
        if self.name != "function":
            return np.empty(0)
        return found.ravel() if self._is_scalar else found[np.unique(given[0][given[2] > 0])]


@dataclass(frozen=True)
class _Blamed:
    """The same; what it raises becomes a line that names the metric."""

    held: _Held

    def __call__(self, *given: Any) -> Any:
        try:
            return self.held(*given)
        except MritkError:  # meant for a person
            raise
        except Exception as error:
            if isinstance(error, Undefined) and self.held.name == "function":
                raise  # the others return NaN
            metric = self.held.metric
            if refusal := refusal_of_disk(error, f"a file of metric {metric.name}"):
                raise StoreError(refusal) from error
            raise HookError(
                f"metric {metric.name} of {metric.origin} failed: "
                f"{reason_of(error, 'hook mritk_metrics')}; report it to the author; for details: "
                f"{check_command(metric.name, metric.origin, self.held.call)}"
            ) from error
