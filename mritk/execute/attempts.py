"""The jobs of a run, tried again while workers die, until each trial is done."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from mritk.execute.diary import trainings
from mritk.execute.job import Done, Job
from mritk.execute.notice import Notice
from mritk.execute.worker import work
from mritk.records import Executor, LostJob
from mritk.store.folder import ResultsFolder

logger = logging.getLogger("mritk")

# Workers that may die at one trial before it is taken to be its fault.
ATTEMPTS = 3
# Seconds that workers have for their last checkpoint, once the run must end.
GRACE_S = 60.0


class Attempts:
    """Gives jobs to an executor.

    Args:
        executor: Where trials are trained.
        jobs: By the ids of their trials.
        at_once: How many may run at once; None: as the executor sees fit.
        notice: Tells when to end; workers are told by the file that their jobs name.
        names: What people call the trials, by id.
    """

    def __init__(
        self,
        executor: Executor,
        jobs: Mapping[str, Job],
        at_once: int | None,
        notice: Notice,
        names: Mapping[str, str],
    ) -> None:
        self._executor, self._at_once, self._notice = executor, at_once, notice
        self._jobs, self._names = dict(jobs), names
        self._deaths = Counter[str]()
        self._noticed = 0.0  # when workers were told to end, by the monotonic clock

    def results(self, look: Callable[[], None]) -> Iterator[tuple[str, Done | LostJob]]:
        """Yield each trial that is done, or at which too many workers died.

        Those that another process trains come last; by then most of them are finished, and those
        are not trained again. Those whose run must end are not among the results.

        Args:
            look: Called about once a second.
        """
        while self._jobs and not self._over():
            again: dict[str, Job] = {}
            for found in self._told(look):
                trial_id = found.job.trial if isinstance(found, LostJob) else found.trial
                if isinstance(found, LostJob) and found.retried:
                    self._deaths[trial_id] = max(self._deaths[trial_id], found.attempts)
                    self._tell_of_death(found, trial_id)
                    continue
                job = self._jobs.pop(trial_id, None)
                if job is None:
                    continue
                if isinstance(found, LostJob):
                    if self._hopeless(trial_id, found.attempts):
                        yield trial_id, found
                    else:
                        self._tell_of_death(found, trial_id)
                        again[trial_id] = replace(job, alone=True)
                elif not (found.busy or found.stopped):
                    # What seems another process's may be of a worker that died behind its end.
                    other = found.elsewhere and not self._deaths[trial_id]
                    yield trial_id, replace(found, elsewhere=other)
                elif found.busy or self._notice.fits(job.expected):
                    waits = job.wait or found.busy
                    again[trial_id] = replace(job, wait=waits, alone=job.alone or waits)
            for trial_id, job in self._jobs.items():  # of which the executor says nothing
                if self._hopeless(trial_id, 1):
                    yield trial_id, LostJob(job)
                else:
                    again[trial_id] = replace(job, alone=True)
            self._jobs = again

    def _hopeless(self, trial_id: str, deaths: int) -> bool:
        """Count deaths of workers; those at the end of the run are not the trial's fault."""
        self._deaths[trial_id] += deaths
        return self._deaths[trial_id] >= ATTEMPTS and not self._notice.given

    def _tell_of_death(self, lost: LostJob, trial_id: str) -> None:
        """Say that a worker died; otherwise nothing shows why its trial does not go on."""
        if self._notice.given:
            return
        logger.warning(
            "the worker of %s %s (possibly out of memory); the trial %s after the others, in "
            "attempt %d of %d",
            self._names.get(trial_id, trial_id[:8]),
            lost.reason or "died",
            # Where no folder is shared, a worker sees the checkpoints of its own machine only.
            "goes on from its checkpoint" if self._executor.shares_folders else "is tried again",
            self._deaths[trial_id] + 1,
            ATTEMPTS,
        )

    def _told(self, look: Callable[[], None]) -> Iterator[Done | LostJob]:
        """Yield what the executor gives, until nothing of it is worth waiting for."""
        running = self._executor.run(work, list(self._jobs.values()), self._at_once)
        try:
            for found in running:
                if found is None:
                    look()
                else:
                    yield found
                if self._over():
                    break
        finally:
            if hasattr(running, "close"):
                running.close()

    def _over(self) -> bool:
        """Tell whether the run must end, and no worker is about to checkpoint a trial."""
        job = next(iter(self._jobs.values()), None)
        if job is None or not self._notice.given:
            return False
        if not self._noticed:
            self._noticed = time.monotonic()
            with suppress(OSError):
                if job.stop is not None:
                    job.stop.touch()
        training = self._jobs.keys() & trainings(ResultsFolder(job.results)).keys()
        return not training or time.monotonic() - self._noticed > GRACE_S
