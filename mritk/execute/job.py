"""One trial as text and numbers, to be trained in another process or on another machine."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from mritk.errors import ExitCode
from mritk.execute.at_once import host_bytes
from mritk.execute.limits import Limits
from mritk.execute.parcel import Parcel
from mritk.files.workspace import Workspace
from mritk.machine.engine import Engine
from mritk.study.benchmark import Benchmark
from mritk.study.plan import StudyPlan
from mritk.trial import Trial


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
        stamp: That of its file, if that is to be replaced; see :attr:`mritk.trial.Plan.stamps`.
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
        alone: Whether its worker must not train others beside it: one is ended after ``limit``,
            waits for another process, computes on a processor, or a worker has died at it before.
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
    alone: bool = False

    def of(self, trial: Trial, plan: StudyPlan, limits: Limits) -> Job:
        """Return the job of one trial; its worker opens the data of that trial alone."""
        limit = limits.trials.get(trial.id, math.inf)
        return replace(
            self,
            benchmark=plan.benchmarks[trial.id],
            trial=trial.id,
            digests=trial.dataset.digests,
            stamp=plan.stamp(trial),
            ends=limits.notice.ends,
            expected=limits.expected_of(trial.id),
            limit=limit,
            memory=int(limits.forecast.host_bytes.get(trial.id) or host_bytes(trial)),
            group=f"{trial.backbone_name} on {trial.dataset.record.name}",
            alone=math.isfinite(limit) or self.engine.device == "cpu",
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
        elsewhere: Nothing was done, because another process has finished the trial.
        stopped: It was not begun, or was ended with a checkpoint, because its run or its worker
            must end.
        leaving: The worker takes no other job: it was told to end, by SIGTERM, or the error may
            have harmed its process.
        parcel: The files of the trial, from a worker that does not see the results folder.
        without_model: As in :class:`mritk.trial.Outcome`.
    """

    trial: str
    error: str = ""
    exit_code: ExitCode = ExitCode.OK
    seconds: float = 0.0
    busy: bool = False
    elsewhere: bool = False
    stopped: bool = False
    leaving: bool = False
    parcel: Parcel | None = None
    without_model: str = ""
