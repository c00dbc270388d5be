"""What ``mritk run`` says and does about trial files that give no trial, and about lost ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mritk.cli.tell import say
from mritk.errors import ExitCode

if TYPE_CHECKING:
    from mritk.results.table_trial import TableTrial
    from mritk.store.folder import ResultsFolder
    from mritk.store.trial_state import UnusableTrial
    from mritk.trial import Outcome, Plan


def make_room(plan: Plan, results: ResultsFolder) -> None:
    """Set spoiled files of the trials to train aside; name the files that are left alone.

    Raises:
        NewerTrial: A newer mritk wrote one of them; nothing is touched.
        StoreError: A file cannot be moved.
    """
    from mritk.store.trial_state import NewerTrial, TrialState, UnusableTrial

    usable = plan.in_state(
        TrialState.ABSENT, TrialState.INTERRUPTED, TrialState.FINISHED, TrialState.FAILED
    )
    others = {trial.id for trial in plan.trials} - {trial.id for trial in usable}
    problems = [p for _, p in results.look_up(sorted(others)) if isinstance(p, UnusableTrial)]
    for problem in problems:
        if isinstance(problem, NewerTrial):
            raise problem
    for problem in problems:
        if problem.state.spoiled:
            say(f"{problem}. Moved to {results.set_aside(problem.path)}; retraining the trial")
        else:
            say(f"not trained: {problem}")


def tell_lost(
    plan: Plan,
    outcomes: Sequence[Outcome],
    found: Mapping[str, TableTrial | UnusableTrial | None],
) -> ExitCode:
    """Name the trials that must be stored after a run and are not.

    A results folder may be deleted, moved or mounted over while trials are trained. ``found`` is
    what it gives at the end, by trial id.

    Returns:
        ``INTERNAL`` where a trial is lost, ``UNAVAILABLE`` where one cannot be read now.
    """
    from mritk.results.table_trial import TableTrial
    from mritk.store.trial_state import NewerTrial, TrialState, UnreadableTrial

    code = ExitCode.OK
    stored = {outcome.trial.id for outcome in outcomes if not outcome.error}
    stored |= {trial.id for trial in plan.in_state(TrialState.FINISHED)}
    for trial in plan.trials:
        there = found[trial.id]
        if isinstance(there, (NewerTrial, UnreadableTrial)):
            say(f"not in the table: {there}")
            code = ExitCode.UNAVAILABLE if code is ExitCode.OK else code
        elif trial.id in stored and not isinstance(there, TableTrial):
            say(f"lost: {trial}: {there or 'its file has disappeared'}")
            code = ExitCode.INTERNAL
    if code is ExitCode.INTERNAL:
        say(
            "the results folder was modified, moved or deleted during the run; check it before "
            "continuing"
        )
    return code
