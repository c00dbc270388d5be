"""One trial as text and numbers, to be trained in another process or on another machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mritk.benchmark import Benchmark
from mritk.errors import ExitCode, MritkError
from mritk.execute.serial import SerialRun
from mritk.plan import Planner
from mritk.registry import Registry
from mritk.results.folder import ResultsFolder
from mritk.train.allocator import keep_large_blocks, return_free_blocks
from mritk.train.engine import Engine
from mritk.train.setup import ignore_epoch
from mritk.train.threads import use_available_cores
from mritk.trial import Trial
from mritk.workspace import Workspace


@dataclass(frozen=True)
class Job:
    """Everything that a worker needs to train one trial; its paths must mean the same there.

    Attributes:
        benchmark: The benchmark that the trial is part of.
        plugins: What ``-p`` named.
        workspace: Where caches are; they are shared with whoever planned the trial.
        results: The results folder, into which the worker writes.
        engine: Where and how to compute.
        command: The command line, for the trial file.
        trial: The trial's id.
        keep_models: Whether the trained network is kept.
        skip_unreadable: Whether samples that cannot be read are left out.
        deterministic: Whether protocols are planned in their deterministic form.
        at_once: How many jobs share this machine's cores.
    """

    benchmark: Benchmark
    plugins: tuple[str, ...]
    workspace: Workspace
    results: Path
    engine: Engine
    command: tuple[str, ...] = ()
    trial: str = ""
    keep_models: bool = False
    skip_unreadable: bool = False
    deterministic: bool = False
    at_once: int = 1

    def of(self, trial: Trial) -> Job:
        """Return the job of one trial."""
        narrow = replace(self.benchmark, seeds=(trial.seed,), folds=(trial.fold,))
        return replace(self, trial=trial.id, benchmark=narrow)


@dataclass(frozen=True)
class Done:
    """What became of a job; the trial itself is in the results folder."""

    trial: str
    error: str = ""
    exit_code: ExitCode = ExitCode.OK
    seconds: float = 0.0


def run_job(job: Job) -> Done:
    """Train the trial of a job and store it. Never raises: a failure is a result too."""
    try:
        return _run(job)
    except MritkError as error:
        return Done(job.trial, " ".join(str(error).split()), error.exit_code)
    except (Exception, SystemExit) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return Done(job.trial, text, ExitCode.INTERNAL)


def _run(job: Job) -> Done:
    keep_large_blocks()
    use_available_cores(job.at_once)
    registry = Registry.load(job.plugins)
    registry.workspace = job.workspace
    results = ResultsFolder(job.results)
    planner = Planner(registry, job.workspace, job.skip_unreadable, deterministic=job.deterministic)
    plan = planner.plan(job.benchmark, results)
    trial = next((trial for trial in plan.trials if trial.id == job.trial), None)
    if trial is None:
        raise MritkError(
            f"this worker plans other trials than the one it was asked for ({job.trial}); data, "
            f"plugins and versions must be the same everywhere"
        )
    run = SerialRun(registry, results, job.workspace, job.engine, job.keep_models)
    outcome = run.run_one(trial, run.provenance(list(job.command)), ignore_epoch)
    return_free_blocks()
    return Done(trial.id, outcome.error, outcome.exit_code, outcome.seconds)
