"""``mritk fetch``: get datasets and weights now, so that a later run needs no network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from mritk.cli.app import App, json_option, pass_app, plugin_option
from mritk.cli.names import names_option
from mritk.cli.tell import echo, say
from mritk.errors import ExitCode, MritkError, Unavailable, UnknownName, WeightsMismatch

if TYPE_CHECKING:
    from mritk.backbone import Backbone
    from mritk.files.workspace import Workspace
    from mritk.plugins.registry import Registry
    from mritk.records import Dataset

Found = TypeVar("Found")


@dataclass(frozen=True)
class Fetched:
    """One line of the table.

    Attributes:
        name: What was asked for.
        what: ``dataset`` or ``backbone``.
        where: What is there: the number of samples, or the file and its size.
        state: ``ready``, ``unavailable`` or ``unusable``.
        reason: Why it is not ready.
    """

    name: str
    what: str
    where: str
    state: str
    reason: str = ""


@click.command()
@names_option("dataset", "Dataset; repeat.")
@names_option("backbone", "Backbone, whose weights are fetched; repeat.")
@click.option("--offline", is_flag=True, help="Fetch nothing: tell what is here and what is not.")
@json_option
@plugin_option
@pass_app
def fetch(
    app: App,
    datasets: tuple[str, ...],
    backbones: tuple[str, ...],
    offline: bool,
    as_json: bool,
) -> int:
    """Fetch or generate datasets and weights, so that a later run needs no network.

    What cannot be had is reported with its reason, and the rest is fetched all the same; the exit
    code is then 4.

    \b
    mritk fetch -d phantom -b efficientnet_lite0 -b convnext_tiny@imagenet
    """
    if not (datasets or backbones):
        raise click.UsageError("name what to fetch: -d DATASET, -b BACKBONE")
    workspace = app.workspace(offline=offline)
    return fetch_all(datasets, backbones, app.registry, workspace, as_json=as_json)


def fetch_all(
    datasets: Iterable[str],
    backbones: Iterable[str],
    registry: Registry,
    workspace: Workspace,
    *,
    instructions: Mapping[str, str] | None = None,
    as_json: bool,
) -> ExitCode:
    """Get all of them, print what is there and why something is not, and return the exit code.

    Of joined datasets each is told apart. ``instructions`` say by the name of a dataset how a
    person gets it.
    """
    from mritk.study.opening import named_datasets

    names = dict.fromkeys(p.name for name in datasets for p in named_datasets(name, registry))
    # Names are looked up before anything is fetched, so that a slip of the pen costs no time.
    wanted = [_dataset(name, registry, workspace, instructions or {}) for name in names]
    wanted += [_backbone(name, registry, workspace) for name in dict.fromkeys(backbones)]
    rows, codes = [], {ExitCode.OK}
    for name, what, get in wanted:
        say(f"{what} {name} …")
        row, code = _fetched(name, what, get)
        rows.append(row)
        codes.add(code)
    _print(rows, as_json=as_json)
    return ExitCode.UNAVAILABLE if ExitCode.UNAVAILABLE in codes else max(codes)


# The name, ``dataset`` or ``backbone``, and what gets it and tells what is there.
Wanted = tuple[str, str, Callable[[], str]]


def _fetched(name: str, what: str, get: Callable[[], str]) -> tuple[Fetched, ExitCode]:
    try:
        return Fetched(name, what, get(), "ready"), ExitCode.OK
    except MritkError as error:
        state = "unavailable" if isinstance(error, Unavailable) else "unusable"
        return Fetched(name, what, "", state, str(error)), error.exit_code


def _dataset(
    name: str, registry: Registry, workspace: Workspace, instructions: Mapping[str, str]
) -> Wanted:
    from mritk.study.opening import instructed
    from mritk.study.path_hint import hinted

    record = _looked_up(lambda: hinted(lambda: registry.dataset(name), name, registry))

    def get() -> str:
        return instructed(lambda: _opened(record(), workspace), name, instructions)

    return name, "dataset", get


def _opened(record: Dataset, workspace: Workspace) -> str:
    """Return how many samples there are; offline, where they are only looked for, none is made."""
    from mritk.study.opening import open_samples

    if workspace.offline and record.is_generated and not record.is_generated(workspace):
        return "generated on this machine by the run"
    samples = open_samples(record, workspace)
    patients = "" if samples.patients is None else f" of {len(set(samples.patients))} patients"
    return f"{len(samples)} samples{patients}"


def _backbone(name: str, registry: Registry, workspace: Workspace) -> Wanted:
    backbone = _looked_up(lambda: registry.backbone(name))
    return name, "backbone", lambda: _located(backbone(), workspace)


def _located(backbone: Backbone, workspace: Workspace) -> str:
    """Return where the weights are.

    Raises:
        Unavailable: They are not here and cannot be fetched.
        WeightsMismatch: Their digest is another one than the plugin states.
    """
    from mritk.files.digests import sha256_of

    weights = backbone.weights
    if weights is None:
        return "starts from scratch: no file"
    path = Path(weights.locate(workspace))
    if weights.sha256 and not sha256_of(path).startswith(weights.sha256.lower()):
        raise WeightsMismatch(
            f"{path} has another SHA-256 than {weights.sha256[:16]}…; the file is damaged or "
            f"another version, so remove it and fetch it again"
        )
    return f"{path} ({path.stat().st_size / 1e6:.1f} MB)"


def _looked_up(look_up: Callable[[], Found]) -> Callable[[], Found]:
    """Look a name up now; what is then not available is reported when its turn comes.

    Raises:
        UnknownName: Nobody provides it.
    """
    try:
        found = look_up()
    except UnknownName:
        raise
    except MritkError as error:
        reason = error

        def fail() -> Found:
            raise reason

        return fail
    return lambda: found


def _print(rows: list[Fetched], *, as_json: bool) -> None:
    if as_json:
        echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    from tabulate import tabulate

    table = [[row.name, row.what, row.where or "–", row.state] for row in rows]
    echo(tabulate(table, ["name", "what", "where or size", "state"]))
    names: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.reason:
            names.setdefault((row.state, row.reason), []).append(row.name)
    for (state, reason), lacking in names.items():
        say(f"mritk: {state}: {', '.join(lacking)}: {reason}")
