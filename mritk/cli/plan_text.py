"""What ``mritk run`` tells of a plan: data, parts, and the trials that would run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mritk.cli.tell import echo, echo_json, say
from mritk.errors import ExitCode
from mritk.text.duration import duration
from mritk.text.listed import first_few, many

if TYPE_CHECKING:
    from mritk.store.folder import ResultsFolder
    from mritk.study.forecast import Forecast
    from mritk.study.plan import StudyPlan
    from mritk.trial import Outcome, Trial


GIB = 1 << 30
_STATES = {
    "absent": "would run",
    "finished": "done",
    "interrupted": "interrupted, would resume",
    "failed": "failed before, would be retried",
    "torn": "file truncated, would be quarantined and retrained",
    "foreign": "not a trial file, would be quarantined and retrained",
    "altered": "file modified, would be quarantined and retrained",
    "misnamed": "file of another trial, would be quarantined and retrained",
    "newer schema": "file of a newer mritk, would stop the run",
    "currently inaccessible": "file currently inaccessible, would not run",
}


def tell_skipped(plan: StudyPlan) -> None:
    """Name the samples that cannot be read and are left out."""
    for dataset in {id(t.dataset): t.dataset for t in plan.trials}.values():
        if dataset.skipped:
            say(
                f"{dataset.record.name}: skipped {len(dataset.skipped)} unreadable samples: "
                f"{', '.join(dataset.skipped[:20])}"
            )


def tell_data(plan: StudyPlan) -> None:
    """Say what the audit found, and how balanced the parts came out."""
    from mritk.audit.text import findings_text

    for name, found in plan.audits.items():
        schemes = {t.scheme for t in plan.trials if t.dataset.record.name == name}
        for line in findings_text(found, official="official" in schemes):
            say(f"{name}: {line}")
    datasets = {id(trial.dataset): trial for trial in reversed(plan.trials)}
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for trial in reversed(datasets.values()):
        told = (trial.dataset.record.name, trial.scheme, *_division_lines(trial))
        alike[told].append(trial.protocol.name)
    for (dataset, scheme, which, *lines), protocols in alike.items():
        say(f"{dataset}, {scheme} split of {first_few(protocols, 1)}{which}:")
        for line in lines:
            say(f"  {line}")


def _division_lines(trial: Trial) -> Iterator[str]:
    """Yield which fold is described, and how balanced the parts of a division are."""
    from mritk.splits.balance import balance_text, lone_tests, worst_imbalance

    samples, folds = trial.dataset.samples, trial.dataset.folds
    yield f", the first of {len(folds)} folds" if len(folds) > 1 else ""
    yield from balance_text(samples, folds[0]).splitlines()
    if overfull := _overfull(trial):
        yield overfull
    if len(folds) > 1:
        sizes = sorted(len(fold.test) for fold in folds)
        told = f"all folds: test sets of {sizes[0]} to {sizes[-1]} samples"
        if shared := samples.task.shared:
            worst = [worst_imbalance(samples, fold) for fold in folds]
            told += (
                f"; {shared} differ from the total by at most {100 * max(worst):.0f} points (fold "
                f"{worst.index(max(worst))})"
            )
        yield told
        if lone := lone_tests(samples, folds):
            yield lone


def _overfull(trial: Trial) -> str:
    """Say that no batch of a recipe can be filled; empty where one can, or it names no size."""
    size = getattr(trial.protocol.parameters, "batch_size", 0)
    least = min(len(fold.train) for fold in trial.dataset.folds)
    if not isinstance(size, int) or size <= least:
        return ""
    return (
        f"batch_size = {size} exceeds the {least} training samples, so each batch has {least}; "
        "lower it in the protocol for smaller batches"
    )


def tell_without_model(
    plan: StudyPlan, outcomes: Sequence[Outcome], elsewhere: Sequence[Trial], results: ResultsFolder
) -> None:
    """Name the finished trials whose network is not kept: those that this run found finished, those
    that were finished elsewhere, and those whose network could not be stored."""
    from mritk.store.kept_model import model_path
    from mritk.store.trial_state import TrialState

    done = [*plan.in_state(TrialState.FINISHED), *elsewhere]
    lacking = [trial for trial in done if not model_path(results, trial.id).is_file()]
    refused = [outcome for outcome in outcomes if outcome.without_model]
    lacking += [outcome.trial for outcome in refused]
    if lacking:
        named = first_few([f"{trial.id[:8]} ({trial})" for trial in lacking], 20)
        why = f" ({refused[0].trial.id[:8]}: {refused[0].without_model})" if refused else ""
        say(
            f"--keep-models: no model is stored of {many(len(lacking), 'finished trial')}: {named}"
            f"{why}; --rerun trains again and stores what there is to store"
        )


def show_plan(plan: StudyPlan, forecast: Forecast, *, as_json: bool) -> int:
    """Print the trials in their order, whether each would run, and what they are expected to take.

    The data say themselves, as they are read, what they need on the disk.
    """
    from mritk.execute.at_once import host_bytes

    memory = {trial.id: float(host_bytes(trial)) for trial in plan.todo}
    memory.update(forecast.host_bytes)
    rows = [
        {
            "id": trial.id,
            "dataset": trial.dataset.record.name,
            "backbone": trial.backbone_name,
            "augmentation": trial.augmentation.name,
            "protocol": f"{trial.protocol.name} {trial.protocol.fingerprint[:8]}",
            "fold": trial.fold,
            "seed": trial.seed,
            "state": _STATES[plan.states[trial.id].value],
            "expected_seconds": forecast.seconds.get(trial.id),
            "expected_memory_bytes": memory.get(trial.id),
        }
        for trial in plan.trials
    ]
    if as_json:
        echo_json(rows)
        return ExitCode.OK
    from tabulate import tabulate

    shown = [{**row, "id": str(row["id"])[:8]} for row in rows]
    for row in shown:
        del row["expected_seconds"], row["expected_memory_bytes"]
    echo(tabulate(shown, headers="keys"))
    if plan.todo:
        say(_memory_text(plan, forecast, max(memory[trial.id] for trial in plan.todo)))
    for text in (_disk_text(plan, forecast.file_bytes), _time_text(plan, forecast.seconds)):
        if text:
            say(text)
    say(f"{len(plan.todo)} of {len(plan.trials)} trials would run.")
    return ExitCode.OK


def _time_text(plan: StudyPlan, seconds: Mapping[str, float]) -> str:
    """Say how long the trials that would run may take; empty where nothing is known of it."""
    known = [seconds[trial.id] for trial in plan.todo if trial.id in seconds]
    if not known:
        return ""
    which = "The trials" if len(known) == len(plan.todo) else f"{len(known)} of the trials"
    return (
        f"{which} would take about {duration(sum(known))} one after the other, like finished "
        "trials that differ in fold or seed only."
    )


def _memory_text(plan: StudyPlan, forecast: Forecast, most: float) -> str:
    """Say how much memory a process may take, and where that is known from."""
    measured = all(trial.id in forecast.host_bytes for trial in plan.todo)
    known = "as finished trials took" if measured else "by a rule of thumb"
    device = [forecast.device_bytes[t.id] for t in plan.todo if t.id in forecast.device_bytes]
    on_gpu = f", and {max(device) / GIB:.1f} GiB on the GPU" if device else ""
    return f"Each process takes up to {most / GIB:.1f} GiB of memory{on_gpu}, {known}."


def _disk_text(plan: StudyPlan, sizes: Mapping[str, float]) -> str:
    """Say how large the trial files will be; empty where nothing is known of it."""
    known = [sizes[trial.id] for trial in plan.todo if trial.id in sizes]
    if not known:
        return ""
    total = sum(known) / len(known) * len(plan.todo)
    return f"The trial files take about {total / 1e6:.1f} MB on the disk."
