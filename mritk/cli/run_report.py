"""What ``mritk run`` says at its end, and what it ends with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mritk.cli.tell import echo, echo_json, say
from mritk.cli.terminal import style_and_width
from mritk.errors import ExitCode, StoreError, one_line
from mritk.files.user_path import as_typed

if TYPE_CHECKING:
    from pathlib import Path

    from mritk.results.table import Leaderboard
    from mritk.results.table_trial import TableTrial
    from mritk.results.trial_index import TrialIndex
    from mritk.store.folder import ResultsFolder
    from mritk.store.record import TrialRecord
    from mritk.store.trial_state import UnusableTrial
    from mritk.trial import Outcome, Plan, Trial


def exit_code_of(outcomes: Sequence[Outcome]) -> ExitCode:
    """Return what the process should return: never 0 when a trial failed.

    A failure for want of something (weights, a device) gives 4 if there is no other failure.
    """
    codes = {outcome.exit_code for outcome in outcomes if outcome.error}
    if not codes:
        return ExitCode.OK
    return ExitCode.UNAVAILABLE if codes == {ExitCode.UNAVAILABLE} else ExitCode.INTERNAL


def untrained(
    plan: Plan,
    outcomes: Sequence[Outcome],
    results: ResultsFolder,
    found: Mapping[str, TableTrial | UnusableTrial | None],
) -> tuple[list[Trial], list[Trial]]:
    """Return the trials that a run left to be trained, and those that other processes have stored
    meanwhile.

    One whose file cannot be read is neither. ``found`` is as in :func:`show_table`.
    """
    from mritk.execute.claim import finished_meanwhile

    trained = {outcome.trial.id for outcome in outcomes}
    left, elsewhere = [], []
    for trial in (trial for trial in plan.todo if trial.id not in trained):
        if not finished_meanwhile(results, trial.id, plan.stamp(trial)):
            left.append(trial)
        elif _finished(found[trial.id]):
            elsewhere.append(trial)
    return left, elsewhere


def show_table(
    plan: Plan,
    outcomes: Sequence[Outcome],
    index: TrialIndex,
    found: Mapping[str, TableTrial | UnusableTrial | None],
    *,
    as_json: bool,
) -> Leaderboard:
    """Print the leaderboard of a run, and return it.

    ``found`` is what the results folder, whose index is given, gives at the end, by trial id.
    As JSON, all trials of the run come with it, whether trained now or not.
    """
    from mritk.results.formats import as_data, format_leaderboard
    from mritk.results.leaderboard import build_leaderboard
    from mritk.results.quick_analysis import quick_analysis
    from mritk.results.table_trial import TableTrial

    there = [trial for trial in found.values() if isinstance(trial, TableTrial)]
    analysis = quick_analysis(there)
    board = build_leaderboard(there, analysis=analysis, kept=index)
    if as_json:
        trials = _as_data(plan, outcomes, found, index.folder)
        echo_json({"trials": trials, "leaderboard": as_data(board)})
        return board
    style, width = style_and_width({})
    echo(format_leaderboard(board, style, width=width))
    if analysis.interval == "none":
        say(
            f"{len(there)} trials: the table is without intervals; 'mritk leaderboard' computes "
            "them, for some of them with --dataset or --protocol"
        )
    return board


def _as_data(
    plan: Plan,
    outcomes: Sequence[Outcome],
    found: Mapping[str, TableTrial | UnusableTrial | None],
    results: ResultsFolder,
) -> list[dict[str, Any]]:
    """Return the trials of a run; ``file`` is None where there is none, as behind a budget.

    What was not trained now has the error that is stored, or that of its file.
    """
    trained = {outcome.trial.id: outcome.error for outcome in outcomes}
    untold = [t for t, there in found.items() if t not in trained and not _finished(there)]
    errors = trained | {trial: _error_of(stored) for trial, stored in results.look_up(untold)}
    return [
        {
            "id": trial.id,
            "file": None if found[trial.id] is None else str(results.trial_path(trial.id)),
            "error": errors.get(trial.id, ""),
            "trained": trial.id in trained,
        }
        for trial in plan.trials
    ]


def _finished(there: TableTrial | UnusableTrial | None) -> bool:
    from mritk.results.table_trial import TableTrial

    return isinstance(there, TableTrial) and there.facts.finished


def _error_of(stored: TrialRecord | UnusableTrial | None) -> str:
    """Return why what is stored of a trial is no result, in one line; empty where it is one."""
    if isinstance(stored, StoreError):
        return one_line(stored)
    return stored.failure.reason if stored and stored.failure else ""


def tell_what_next(
    plan: Plan,
    outcomes: Sequence[Outcome],
    results: Path,
    board: Leaderboard,
    stored: Collection[str],
    elsewhere: int,
) -> None:
    """Say what became of the trials, where they are stored, and what can be done next.

    ``stored`` are the ids of those that the results folder holds; so many were stored
    ``elsewhere``, by other processes.
    """
    from mritk.store.trial_state import TrialState

    before = len(plan.in_state(TrialState.FINISHED))
    say("")
    if before:
        say(f"{before} of {len(plan.trials)} trials were already finished.")
    if elsewhere:
        say(f"{elsewhere} of {len(plan.trials)} trials were stored by another process meanwhile.")
    for outcome in outcomes:
        if outcome.error:
            say(f"failed: {outcome.trial}: {outcome.error}")
    say(f"Results: {results} (one HDF5 file per trial in {results / 'trials'})")
    where = as_typed(results)
    hints = []
    told = [table for table in board.tables if not table.protocol.rehearsal]
    if any(row.trials for table in told for row in table.rows):
        hints.append(f"  mritk leaderboard {where} --format latex    the table for a paper")
    failed = [outcome.trial.id for outcome in outcomes if outcome.error]
    telling = [trial for trial in (*failed, *(t.id for t in plan.trials)) if trial in stored]
    if telling:
        hints.append(f"  mritk show {telling[0][:8]} --results {where}    one trial in full")
    if not any(":" in trial.dataset.record.name for trial in plan.trials):
        hints.append("  mritk run -d folder:PATH    your own images, in one folder per class")
    for line in ["Next:", *hints] if hints else ():
        say(line)
