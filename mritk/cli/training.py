"""Train the trials of ``mritk run``: in this process, or by an executor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mritk.cli.run import Request
    from mritk.execute.limits import Limits
    from mritk.store.folder import ResultsFolder
    from mritk.study.plan import StudyPlan
    from mritk.trial import Outcome

PROCESSES = "processes"


def train(
    request: Request,
    plan: StudyPlan,
    results: ResultsFolder,
    at_once: int | None,
    ways: tuple[bool, bool | None],
    limits: Limits,
) -> list[Outcome]:
    """Train what is to do; torch is not even imported if that is nothing.

    ``ways`` are those of :func:`mritk.cli.engine.ways_of`.
    """
    if not plan.todo:
        from mritk.execute.agenda import announced
        from mritk.files.results_names import CLAIMS
        from mritk.store.view import stale_view

        left = (results.path / CLAIMS).is_dir()
        if left:  # by a run that was killed when all was done
            with announced(results, ()):
                pass
        if left or stale_view(results.path, {}):
            results.tidy()
        return []
    from mritk.execute.agenda import announced
    from mritk.execute.serial import SerialRun
    from mritk.machine.device import choose_device, is_one_gpu
    from mritk.machine.engine import Engine

    engine = Engine(
        request.device,
        *ways,
        checkpoint_seconds=60 * request.checkpoint_minutes,
        keep_embeddings=request.keep_embeddings,
    )
    registry, workspace = request.app.registry, request.app.workspace(offline=request.offline)
    here = request.executor is None and (at_once == 1 or is_one_gpu(request.device))
    if here and not limits.trials:  # what hangs can be ended in a process of its own only
        engine = replace(engine, device=choose_device(request.device))
        serial = SerialRun(
            registry,
            results,
            workspace,
            engine,
            request.keep_models,
            limits=limits,
        )
        with announced(results, plan.todo), limits.notice.by_sigterm():
            if at_once == 1 or len(plan.todo) == 1:
                return serial.run(plan)
            from mritk.execute.side_by_side import SideBySideRun

            return SideBySideRun(serial, at_once).run(plan)
    from mritk.execute.job import Job
    from mritk.execute.with_executor import ExecutorRun
    from mritk.store.provenance import command_line

    job = Job(
        request.benchmark(),
        tuple(request.app.plugin_options),
        Path.cwd(),
        workspace,
        results.path,
        engine,
        tuple(command_line()),
        keep_models=request.keep_models,
        skip_unreadable=request.skip_unreadable,
        deterministic=request.deterministic,
        at_once=at_once or 1,
    )
    executor = registry.executor(request.executor or PROCESSES)
    with announced(results, plan.todo), limits.notice.by_sigterm():
        return ExecutorRun(registry, executor, job, at_once, limits).run(plan)


def trials_at_once(request: Request, plan: StudyPlan) -> int | None:
    """Return how many trials to train at once; None: the executor, or what one GPU can do."""
    if request.jobs is not None:
        return request.jobs
    from mritk.execute.at_once import trials_at_once as fitting
    from mritk.records import Executor

    if request.executor not in (None, PROCESSES):
        return None
    if all(record.name != PROCESSES for record in request.app.registry.records(Executor)):
        return 1
    return fitting(plan.trials, request.device)
