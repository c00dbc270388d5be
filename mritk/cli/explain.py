"""``mritk explain``: what the network of a trial looked at, and how far that can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mritk.cli.app import (
    App,
    UserPath,
    json_option,
    offline_option,
    pass_app,
    plugin_option,
    results_option,
)
from mritk.cli.completed import complete_trial
from mritk.cli.device import device_option
from mritk.cli.names import PluginName
from mritk.cli.tell import echo, echo_json, say

if TYPE_CHECKING:
    from mritk.data.samples import Samples
    from mritk.explain.explaining import Explaining
    from mritk.records import Explainer
    from mritk.results.covariate_alone import Alone
    from mritk.results.explanation_table import ExplanationTable
    from mritk.store.explanations import Explanations
    from mritk.store.trial_file import TrialRecord


@click.command()
@click.argument("trial", shell_complete=complete_trial)
@results_option("Results folder of the trial.", "--results")
@click.option(
    "-e",
    "--explainer",
    "names",
    multiple=True,
    type=PluginName("explainer"),
    help="Explainer; repeatable. Default: all but slow ones; see 'mritk list explainers'.",
)
@click.option(
    "--cases",
    default="64",
    show_default=True,
    metavar="N|all|IDS",
    help=(
        "Test samples: a number spread over the classes, all, or ids separated by commas "
        "('64,' is the sample 64)."
    ),
)
@click.option(
    "-o",
    "--out",
    "out",
    type=UserPath(file_okay=False),
    metavar="FOLDER",
    help="Where maps go. Default: 'explanations' in the results folder.",
)
@click.option(
    "--covariate",
    "covariates",
    multiple=True,
    metavar="NAME",
    help="Score this numeric covariate alone beside the network, such as head_volume; repeatable.",
)
@click.option("-d", "--dataset", metavar="NAME", help="Current location of its data, if moved.")
@device_option
@click.option("--trust", is_flag=True, help="Execute the plugins of the trial without asking.")
@offline_option
@json_option
@plugin_option
@pass_app
def explain(app: App, /, trial: str, folder: Path, **options: Any) -> None:
    """Explain the trained network of TRIAL, specified by id prefix, on test samples.

    The trial must be from 'mritk run --keep-models'. Its data are opened by its stored command.
    Maps of the output of the true class go to an HDF5 file and, for volumes, to NIfTI files.

    Maps are compared with lesion masks where the dataset has them, judged by removing what they
    mark, and held against random places and the same network with random weights.

    \b
    mritk explain 3f2a9c
    mritk explain 3f2a9c --explainer grad_cam --cases all --covariate head_volume
    """
    from mritk.cli.progress import progress_line
    from mritk.results.covariate_alone import covariate_alone
    from mritk.results.explanation_table import ExplanationTable
    from mritk.store.explanations import explanations_path, write_explanations
    from mritk.store.find_trial import find_trial

    record = find_trial(trial, folder)
    _require_classes(record)
    alone = [covariate_alone(record, name) for name in options["covariates"]]
    explaining = _explaining(app, record, folder, options)
    explainers = _explainers(app, options["names"], explaining)
    with progress_line() as progress:
        found = explaining.explain(explainers, progress, _leave_out)
    path = explanations_path(folder, record.id)
    if options["out"] is not None:
        path = options["out"] / path.name
    samples = explaining.trial.dataset.samples
    write_explanations(found, path)
    written = [path, *_write_volumes(samples, found, path.with_suffix(""))]
    table = ExplanationTable(found)
    if options["as_json"]:
        echo_json(_as_data(record, table, alone, written))
        return
    _tell(record, table, alone, samples)
    for place in written:
        say(place)


def _require_classes(record: TrialRecord) -> None:
    """Refuse a trial that predicts no classes, or has failed.

    Raises:
        UsageError: It is one.
    """
    from mritk.errors import UsageError

    if not record.finished:
        raise UsageError(f"trial {record.id[:8]} failed; 'mritk run' retries it")
    if not record.task.classes:
        raise UsageError(
            f"'mritk explain' explains classes, and trial {record.id[:8]} is a {record.task.kind}"
        )


def _explaining(app: App, record: TrialRecord, folder: Path, options: dict[str, Any]) -> Explaining:
    """Return what is explained: the network that was kept, and the data as they were."""
    from mritk.cli.progress import progress_line
    from mritk.cli.stored_command import benchmark_of, planner_of, request_of
    from mritk.execute.reproduce import planned_again
    from mritk.explain.cases import chosen_cases
    from mritk.explain.explaining import Explaining
    from mritk.machine.device import choose_device
    from mritk.machine.threads import use_available_cores
    from mritk.model.model_file import load_model
    from mritk.store.folder import ResultsFolder
    from mritk.store.kept_model import require_model

    results = ResultsFolder(folder)
    path = require_model(results, record)
    cases = chosen_cases(record.predictions["test"], options["cases"])
    # It names plugins, so it is read before any are loaded.
    request = request_of(app, record, "explaining", trust=options["trust"])
    for name in options["names"]:  # an unknown one is refused before data are read
        app.registry.explainer(name)
    device = choose_device(options["device"])
    use_available_cores()
    benchmark = benchmark_of(request, options["dataset"])
    workspace = app.workspace(offline=options["offline"] or request.offline)
    model = load_model(path, app.registry.backbone).to(device)
    with progress_line() as progress:
        planner = planner_of(request, workspace, progress)
        _, planned = planned_again(record, benchmark, planner, results, "explained")
    return Explaining(planned, record, model, cases, workspace, device)


def _explainers(app: App, names: Sequence[str], explaining: Explaining) -> list[Explainer]:
    """Return the explainers that are asked for, or all usual ones that this network permits.

    Raises:
        UsageError: One that is asked for, or all, cannot explain this network.
    """
    from mritk.errors import UsageError
    from mritk.records import Explainer

    wanted = [app.registry.explainer(name) for name in dict.fromkeys(names)]
    wanted = wanted or [one for one in app.registry.records(Explainer) if one.is_default]
    refused = explaining.usable(wanted)
    for name, reason in refused.items():
        if names:
            raise UsageError(f"explainer {name} cannot explain this network: {reason}")
        _leave_out(name, reason)
    usable = [one for one in wanted if one.name not in refused]
    if not usable:
        raise UsageError("no explainer can explain this network; see 'mritk list explainers'")
    return usable


def _leave_out(name: str, reason: str) -> None:
    """Say that an explainer is left out."""
    say(f"mritk: without {name}: {reason}")


def _write_volumes(samples: Samples, found: Explanations, folder: Path) -> list[Path]:
    """Write the maps of volumes as NIfTI files; return where they are."""
    from mritk.data.rank import is_volume
    from mritk.explain.volumes import write_volumes

    if not is_volume(samples.spatial_dims):
        return []
    places = []
    for explainer, maps in found.maps.items():
        places.append(folder / explainer)
        write_volumes(samples, found.id, maps, places[-1])
    return places


def _tell(
    record: TrialRecord, table: ExplanationTable, alone: Sequence[Alone], samples: Samples
) -> None:
    """Print the table, and what must be known of it."""
    from mritk.cli.terminal import terminal_width
    from mritk.text.text_table import filled, fitted, text_table

    found, width = table.found, terminal_width()
    units = "patients" if any(found.patient) else "duplicate groups"
    echo(
        f"{record.backbone} on {record.dataset}: {len(found.id)} test samples of "
        f"{len(set(found.unit))} {units}, {int(found.located.sum())} with a lesion"
    )
    echo("")
    shown, _ = fitted(table.columns(), "plain", width)
    echo(text_table(shown, "plain"))
    echo("")
    for line in (*table.sentences(), *(one.text for one in alone)):
        echo(filled(line, width))
    if samples.read_lesion is None:
        say(f"mritk: {record.dataset} has no lesion masks, so maps are not compared with any")
    elif not found.located.any():
        say("mritk: the lesion masks of these samples are empty, so maps are not compared with any")


def _as_data(
    record: TrialRecord,
    table: ExplanationTable,
    alone: Sequence[Alone],
    written: Sequence[Path],
) -> dict[str, Any]:
    found = table.found
    return {
        "trial": record.id,
        "backbone": record.backbone,
        "dataset": record.dataset,
        "cases": len(found.id),
        "patients": len(set(found.unit)),
        "cases_with_lesion": int(found.located.sum()),
        **table.as_data(),
        "covariates": [one.as_data() for one in alone],
        "files": [str(path) for path in written],
    }
