"""What a worker does: it trains the trial of a job, or those of several side by side on its GPU."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mritk.errors import ExitCode, MritkError, Stopped, Unavailable, one_line
from mritk.execute.away import wait_for
from mritk.execute.claim import claimed, finished_meanwhile, stamp_of
from mritk.execute.job import Done, Job
from mritk.execute.limits import Limits
from mritk.execute.notice import Notice
from mritk.execute.parcel import own_results, packed
from mritk.execute.serial import Crowded, SerialRun
from mritk.execute.side_by_side import Lane, kind_of, side_by_side
from mritk.execute.time_limit import at_most, note_path
from mritk.files.workspace import Workspace
from mritk.machine.allocator import keep_large_blocks, return_free_blocks
from mritk.machine.device import choose_device, return_device_memory
from mritk.machine.threads import use_available_cores
from mritk.method import ignore_epoch
from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder
from mritk.study.plan import Planner
from mritk.trial import Trial

# What becomes a result; a person's Ctrl-C does not.
FAILURES = (Exception, SystemExit, Stopped)
APART = " (the worker sees the uploaded working folder only: name files by paths relative to it)"


def work(given: Job | Sequence[Job]) -> Done | Iterator[tuple[int, Done]]:
    """Do a job, or several; this is the function that executors are given."""
    return run_job(given) if isinstance(given, Job) else run_jobs(given)


def run_job(job: Job) -> Done:
    """Train the trial of a job and store it. Never raises: a failure is a result too."""
    notice = Notice(job.ends, job.stop)

    def act() -> Done:
        with _working_in(job.folder):
            return _train(_ready(job, notice))

    with notice.by_sigterm():
        done = _outcome(job, notice, act)
    if not done.leaving:  # a GPU that computes no more refuses this too
        return_device_memory()
    return done


def run_jobs(jobs: Sequence[Job], at_once: int | None = None) -> Iterator[tuple[int, Done]]:
    """Train the trials of several jobs side by side and store them.

    Raises only what harms all of them, such as the error of a GPU that computes no more.

    Args:
        jobs: Jobs of one run.
        at_once: How many at once; None: on a GPU, as many as make all of them together faster; on
            a processor, one.

    Yields:
        The position of a job, and what became of it.
    """
    notice = Notice(jobs[0].ends, jobs[0].stop)
    left = dict(enumerate(jobs))
    with notice.by_sigterm():
        try:
            with _working_in(jobs[0].folder):
                device = choose_device(jobs[0].engine.device)
                several = at_once if at_once or device.startswith("cuda") else 1
                for width in (several, 1):  # alone: those that others left too little memory
                    waiting = _in_lanes(list(left.items()), notice)
                    for number, done in side_by_side(device, waiting, width):
                        if done is not None:
                            del left[number]
                            yield number, done
        except MritkError as error:
            for number, job in left.items():
                yield number, _failed(job, error)


def _in_lanes(
    jobs: Iterable[tuple[int, Job]], notice: Notice
) -> Iterator[Lane[tuple[int, Done | None]]]:
    """Plan each trial when a lane is free for it: others are trained meanwhile.

    A lane gives None for a trial that runs out of memory beside others.
    """
    deterministic = False
    for number, job in jobs:
        try:
            ready = _ready(job, notice)
        except FAILURES as error:
            ended = number, replace(_failed(job, error), leaving=notice.signalled)
            yield Lane(deterministic, None, partial(_same, ended))
            continue
        deterministic = ready.trial.protocol.deterministic
        yield Lane(deterministic, kind_of(ready.trial), partial(_lane, number, ready, notice))


def _same(ended: tuple[int, Done]) -> tuple[int, Done]:
    return ended


def _lane(number: int, ready: _Ready, notice: Notice) -> tuple[int, Done | None]:
    try:
        return number, _outcome(ready.job, notice, partial(_train, ready))
    except Crowded:
        return number, None


def _outcome(job: Job, notice: Notice, act: Callable[[], Done]) -> Done:
    try:
        done = act()
    except Crowded:
        raise
    except FAILURES as error:
        done = _failed(job, error)
    harmed = done.exit_code is ExitCode.INTERNAL  # such as a GPU that computes no more
    return replace(done, leaving=notice.signalled or harmed)


def _failed(job: Job, error: BaseException) -> Done:
    if isinstance(error, Stopped):
        return Done(job.trial, stopped=True)
    if isinstance(error, MritkError):
        hint = APART if job.folder is None else ""
        return Done(job.trial, one_line(error) + hint, error.exit_code)
    return Done(job.trial, one_line(f"{type(error).__name__}: {error}"), ExitCode.INTERNAL)


@contextmanager
def _working_in(folder: Path | None) -> Iterator[None]:
    """Let relative paths mean what they mean where the run was started."""
    if folder is None:
        yield
        return
    before = Path.cwd()
    try:
        os.chdir(folder)
    except OSError as error:
        raise Unavailable(
            f"the worker cannot access the folder {folder} of the run ({error.strerror}); start "
            "the run in a folder shared by all workers"
        ) from error
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _silent() -> Iterator[None]:
    """Warn of nothing: the run has planned all trials itself, and has warned of all that is odd."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@dataclass(frozen=True)
class _Ready:
    """A job whose data are open."""

    job: Job
    trial: Trial
    run: SerialRun


def _ready(job: Job, notice: Notice) -> _Ready:
    """Plan the trial of a job.

    Raises:
        Stopped: There is no time left for it.
        MritkError: Its data, plugins or weights are not here.
    """
    if not notice.fits(job.expected):
        raise Stopped
    keep_large_blocks()
    use_available_cores(job.at_once)
    own = Workspace.from_environment(offline=job.workspace.offline)
    if job.folder is None:
        workspace, results = own, own_results(own, job.results)
        job = replace(job, stamp=stamp_of(results.trial_path(job.trial)))
    else:
        workspace, results = replace(job.workspace, scratch=own.scratch), ResultsFolder(job.results)
        wait_for(results)  # it was there when the run began
    with _silent():
        registry = Registry.load(job.plugins)
        registry.workspace = workspace
        planner = Planner(
            registry,
            workspace,
            job.skip_unreadable,
            deterministic=job.deterministic,
            expected=job.digests,
        )
        plan = planner.plan(job.benchmark, results)
    trial = next((trial for trial in plan.trials if trial.id == job.trial), None)
    if trial is None:
        raise MritkError(
            f"the worker's plan does not contain trial {job.trial}; data, plugins and versions "
            "must be identical on all workers"
        )
    engine = replace(job.engine, device=choose_device(job.engine.device))
    limits = Limits(notice)
    run = SerialRun(registry, results, workspace, engine, job.keep_models, limits=limits)
    return _Ready(job, trial, run)


def _train(ready: _Ready) -> Done:
    job, trial, run, results = ready.job, ready.trial, ready.run, ready.run.results
    if not run.limits.notice.fits(job.expected):  # it may have waited long for a lane
        raise Stopped
    with claimed(results, trial.id, wait=job.wait, notice=run.limits.notice) as mine:
        if not mine:
            return Done(trial.id, busy=True)
        if finished_meanwhile(results, trial.id, job.stamp):
            # Apart from the results folder, the other process has yet to bring the trial there.
            return Done(trial.id, elsewhere=job.folder is not None)
        with at_most(job.limit, note_path(results, trial.id)):
            outcome = run.run_one(trial, run.provenance(list(job.command)), ignore_epoch)
    return_free_blocks()
    parcel = packed(results, trial.id) if job.folder is None else None
    return Done(
        trial.id,
        outcome.error,
        outcome.exit_code,
        outcome.seconds,
        parcel=parcel,
        without_model=outcome.without_model,
    )
