"""Run the trials of a plan in this process, several at once in lanes of one device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Generic, TypeVar

from mritk.errors import Stopped
from mritk.execute.claim import claimed, finished_meanwhile
from mritk.execute.events import Events
from mritk.execute.kernels_ahead import kernels_built_ahead
from mritk.execute.serial import Crowded, SerialRun, telling
from mritk.machine.allocator import keep_large_blocks, return_free_blocks
from mritk.machine.device import repeatable
from mritk.machine.lanes import Lanes
from mritk.machine.threads import use_available_cores
from mritk.store.provenance import command_line
from mritk.trial import Outcome, Plan, Trial

R = TypeVar("R")


@dataclass(frozen=True)
class Lane(Generic[R]):
    """What a lane is to do.

    Attributes:
        deterministic: Whether torch's algorithms must be; this holds for a process.
        kind: Alike where images per second can be compared; see :func:`kind_of`.
        act: Trains.
    """

    deterministic: bool
    kind: object
    act: Callable[[], R]


def side_by_side(device: str, lanes: Iterable[Lane[R]], at_once: int | None) -> Iterator[R]:
    """Yield what lanes give as they end; those at one time are deterministic, or none is.

    Args:
        device: Where they compute.
        lanes: Each is asked for when it can begin.
        at_once: How many at once; None: as many as make all of them together faster.
    """
    for deterministic, alike in groupby(lanes, lambda lane: lane.deterministic):
        with repeatable(device, deterministic=deterministic):
            yield from Lanes[R](device, at_once).run((lane.kind, lane.act) for lane in alike)


@dataclass(frozen=True)
class _Attempt:
    """What came of a turn of a trial: its outcome, or none and perhaps another turn."""

    trial: Trial
    outcome: Outcome | None = None
    again: bool = False


@dataclass(frozen=True)
class SideBySideRun:
    """A run whose trials train side by side.

    Attributes:
        serial: How one trial is run.
        at_once: How many at once; None: as many as make all of them together faster.
    """

    serial: SerialRun
    at_once: int | None = None

    def run(self, plan: Plan) -> list[Outcome]:
        """Train what is to do in ``plan``; see :meth:`mritk.execute.serial.SerialRun.run`.

        A trial that runs out of memory beside others is trained again alone, when they have ended.
        """
        keep_large_blocks()
        use_available_cores(threads=self.serial.threads)
        events = Events(self.serial.registry)
        with events.of_run(plan, self.serial.results) as outcomes:
            begin = _Begin(self.serial, events, plan)
            with kernels_built_ahead(plan.todo, self.serial.engine.device):
                for outcome in self._outcomes(plan.todo, begin):
                    outcomes.append(outcome)
                    return_free_blocks()
                    events.announce("mritk_trial_finish", trial=outcome.trial, outcome=outcome)
        return outcomes

    def _outcomes(self, trials: Sequence[Trial], begin: _Begin) -> Iterator[Outcome]:
        """Train the trials side by side, and then one by one those that could not be."""
        later = list[Trial]()
        for attempt in self._attempts(trials, begin, self.at_once):
            if attempt.again:
                later.append(attempt.trial)
            elif attempt.outcome is not None:
                yield attempt.outcome
        for attempt in self._attempts(later, partial(begin, wait=True), 1):
            if attempt.outcome is not None:
                yield attempt.outcome

    def _attempts(
        self, trials: Sequence[Trial], begin: Callable[[Trial], _Attempt], at_once: int | None
    ) -> Iterator[_Attempt]:
        """Yield attempts as they end."""
        lanes = (
            Lane(one.protocol.deterministic, kind_of(one), partial(begin, one)) for one in trials
        )
        yield from side_by_side(self.serial.engine.device, lanes, at_once)


@dataclass
class _Begin:
    """Trains one trial in its lane, unless another process does or has."""

    serial: SerialRun
    events: Events
    plan: Plan
    started: int = 0

    def __post_init__(self) -> None:
        self._provenance = self.serial.provenance(command_line())

    def __call__(self, trial: Trial, *, wait: bool = False) -> _Attempt:
        results = self.serial.results
        notice = self.serial.limits.notice
        with suppress(Stopped), claimed(results, trial.id, wait=wait, notice=notice) as mine:
            if not mine:
                return _Attempt(trial, again=True)
            done = finished_meanwhile(results, trial.id, self.plan.stamp(trial))
            if done or not self.serial.limits.may_begin(trial.id):
                return _Attempt(trial)
            self.started += not wait
            self.events.announce(
                "mritk_trial_start", trial=trial, position=self.started, total=len(self.plan.todo)
            )
            try:
                run = self.serial.run_one
                return _Attempt(trial, run(trial, self._provenance, telling(self.events, trial)))
            except Crowded:
                return _Attempt(trial, again=True)
        return _Attempt(trial)  # stopped; the others are checkpointed in their own turns


def kind_of(trial: Trial) -> object:
    """Return what is alike in trials whose images per second can be compared."""
    return trial.dataset.record.name, trial.backbone_name, trial.protocol.fingerprint
