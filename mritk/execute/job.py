"""One trial as text and numbers, to be trained in another process or on another machine."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mritk.errors import ExitCode, MritkError, Stopped, Unavailable, one_line
from mritk.execute.at_once import host_bytes
from mritk.execute.away import wait_for
from mritk.execute.claim import claimed, finished_meanwhile, stamp_of
from mritk.execute.limits import Limits
from mritk.execute.notice import Notice
from mritk.execute.parcel import Parcel, own_results, packed
from mritk.execute.serial import SerialRun
from mritk.execute.time_limit import at_most, note_path
from mritk.files.workspace import Workspace
from mritk.machine.allocator import keep_large_blocks, return_free_blocks
from mritk.machine.device import choose_device
from mritk.machine.engine import Engine
from mritk.machine.threads import use_available_cores
from mritk.method import ignore_epoch
from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder
from mritk.study.benchmark import Benchmark
from mritk.study.plan import Planner, StudyPlan
from mritk.trial import Trial

APART = " (the worker sees the uploaded working folder only: name files by paths relative to it)"


@dataclass(frozen=True)
class Job:
    """Everything that a worker needs to train one trial.

    Attributes:
        benchmark: A benchmark of this trial alone: its dataset, backbone, augmentation, protocol,
            fold and seed. A rehearsal names all backbones, of which its size follows.
        plugins: What ``-p`` named.
        folder: The working folder of the run, from which its relative paths start; None: that of
            the worker, which is a copy of it and sees no other folder of the run.
        workspace: Where caches are; they are shared with whoever planned the trial. Only the
            worker knows its own ``scratch``.
        results: The results folder, into which the worker writes if it sees it.
        engine: How to compute; its device may be a wish, such as ``auto``, since only the worker
            knows what it has.
        command: The command line, for the trial file.
        trial: The trial's id.
        digests: Those of its samples; what is kept of them is not read again.
        stamp: What :func:`mritk.execute.claim.stamp_of` said of its file when the run began.
        keep_models: Whether the trained network is kept.
        skip_unreadable: Whether samples that cannot be read are left out.
        deterministic: Whether protocols are planned in their deterministic form.
        wait: Whether to wait for another process that trains the trial; without, it is ``busy``.
        at_once: How many jobs share this machine's cores, where the executor does not say so in
            ``OMP_NUM_THREADS``.
        ends: When the run must have ended, in seconds since 1970.
        stop: What the run writes when its workers must end.
        expected: Seconds that the trial may take; 0 where nothing is known of it.
        limit: Seconds after which its training is taken to hang, and is ended with its worker.
        memory: Bytes of the host that its process is expected to take.
        group: Alike for jobs that open the same data and build the same network.
    """

    benchmark: Benchmark
    plugins: tuple[str, ...]
    folder: Path | None
    workspace: Workspace
    results: Path
    engine: Engine
    command: tuple[str, ...] = ()
    trial: str = ""
    digests: tuple[str, ...] = ()
    stamp: int = 0
    keep_models: bool = False
    skip_unreadable: bool = False
    deterministic: bool = False
    wait: bool = True
    at_once: int = 1
    ends: float = math.inf
    stop: Path | None = None
    expected: float = 0.0
    limit: float = math.inf
    memory: int = 0
    group: str = ""

    def of(self, trial: Trial, plan: StudyPlan, limits: Limits) -> Job:
        """Return the job of one trial; its worker opens the data of that trial alone."""
        return replace(
            self,
            benchmark=plan.benchmarks[trial.id],
            trial=trial.id,
            digests=trial.dataset.digests,
            stamp=stamp_of(ResultsFolder(self.results).trial_path(trial.id)),
            ends=limits.notice.ends,
            expected=limits.expected_of(trial.id),
            limit=limits.trials.get(trial.id, math.inf),
            memory=int(limits.forecast.host_bytes.get(trial.id) or host_bytes(trial)),
            group=f"{trial.backbone_name} on {trial.dataset.record.name}",
        )


@dataclass(frozen=True)
class Done:
    """What became of a job; the trial itself is in the results folder.

    Attributes:
        trial: The trial's id.
        error: Why it failed; empty if it did not.
        exit_code: What the run ends with.
        seconds: How long it took.
        busy: Nothing was done, because another process trains the trial.
        stopped: It was not begun, or was ended with a checkpoint, because its run or its worker
            must end.
        leaving: The worker was told to end, by SIGTERM, and takes no other job.
        parcel: The files of the trial, from a worker that does not see the results folder.
    """

    trial: str
    error: str = ""
    exit_code: ExitCode = ExitCode.OK
    seconds: float = 0.0
    busy: bool = False
    stopped: bool = False
    leaving: bool = False
    parcel: Parcel | None = None


def run_job(job: Job) -> Done:
    """Train the trial of a job and store it. Never raises: a failure is a result too."""
    notice = Notice(job.ends, job.stop)
    try:
        with notice.by_sigterm(), _working_in(job.folder):
            return replace(_run(job, notice), leaving=notice.signalled)
    except Stopped:
        return Done(job.trial, stopped=True, leaving=notice.signalled)
    except MritkError as error:
        hint = APART if job.folder is None else ""
        return Done(job.trial, one_line(error) + hint, error.exit_code)
    except (Exception, SystemExit) as error:
        text = one_line(f"{type(error).__name__}: {error}")
        return Done(job.trial, text, ExitCode.INTERNAL)


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


def _run(job: Job, notice: Notice) -> Done:
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
    with claimed(results, trial.id, wait=job.wait) as mine:
        if not mine:
            return Done(trial.id, busy=True)
        if finished_meanwhile(results, trial.id, job.stamp):
            return Done(trial.id)
        with at_most(job.limit, note_path(results, trial.id)):
            outcome = run.run_one(trial, run.provenance(list(job.command)), ignore_epoch)
    return_free_blocks()
    parcel = packed(results, trial.id) if job.folder is None else None
    return Done(trial.id, outcome.error, outcome.exit_code, outcome.seconds, parcel=parcel)
