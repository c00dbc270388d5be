"""``mritk run``: train every candidate under one protocol and print the leaderboard."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mritk.cli.app import App, json_option, offline_option, pass_app, plugin_option, results_option
from mritk.cli.data_options import as_data_options, data_options, over
from mritk.cli.device import devices_option, use_gpus
from mritk.cli.engine import engine_options, ways_of
from mritk.cli.jobs import jobs_option
from mritk.cli.limits import TrialTimeout, limit_options, limits_of, tell_left
from mritk.cli.names import PluginName, names_option
from mritk.cli.plan_text import show_plan, tell_data, tell_skipped, tell_without_model
from mritk.cli.run_report import exit_code_of, show_table, tell_what_next, untrained
from mritk.cli.stored_files import make_room, tell_lost
from mritk.cli.tell import say
from mritk.cli.training import train, trials_at_once
from mritk.errors import ExitCode, UsageError
from mritk.text.duration import duration

if TYPE_CHECKING:
    from mritk.backbone import Backbone
    from mritk.cli.warm_up import WarmUp
    from mritk.files.workspace import Workspace
    from mritk.store.folder import ResultsFolder
    from mritk.study.benchmark import Benchmark
    from mritk.study.plan import StudyPlan
    from mritk.trial import Outcome


REHEARSAL = "mritk-rehearsal"
REHEARSED = (
    "rehearsal: random weights, small images, one epoch, one fold, one seed; scores are meaningless"
)


@click.command()
@click.argument("file", type=PluginName("benchmark"), metavar="[NAME|FILE.toml]", required=False)
@names_option("backbone", "Backbone; repeatable. Default: those of the benchmark 'quickstart'.")
@names_option("dataset", "Dataset, or folder:PATH for your own images. Default: as for -b.")
@names_option("augmentation", "Augmentation; repeatable. Default: that of the protocol.")
@names_option("protocol", "Protocol. Default: as for -b.", metavar="NAME|FILE.toml")
@click.option(
    "--vary",
    multiple=True,
    metavar="KEY=VALUE,…",
    help="Run the protocol with each value of a key, such as split.shots=5,10; repeatable.",
)
@click.option("--seeds", type=click.IntRange(1), help="Number of seeds, from 0. Default: 2.")
@click.option(
    "--fold", "folds", multiple=True, type=click.IntRange(0), help="Fold; repeatable. Default: all."
)
@data_options
@results_option("Results folder.")
@devices_option
@click.option("--skip-unreadable", is_flag=True, help="Skip unreadable samples.")
@click.option("--rerun", is_flag=True, help="Retrain finished and unfinished trials from scratch.")
@click.option(
    "--deterministic", is_flag=True, help=("Deterministic on CUDA too; part of the protocol.")
)
@engine_options
@click.option(
    "--checkpoint-minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    help="Interval within long epochs, in addition to the end of each epoch.",
)
@click.option(
    "--executor",
    type=PluginName("executor"),
    metavar="NAME",
    help=(
        "Where trials are trained. Default: processes of this machine; a single trial, in this one."
    ),
)
@jobs_option
@limit_options
@click.option("--keep-models", is_flag=True, help="Save each trained network to RESULTS/models.")
@click.option(
    "--keep-embeddings",
    is_flag=True,
    help="Store the features of each sample, for 'mritk leaderboard --probe'.",
)
@offline_option
@click.option(
    "--rehearse",
    is_flag=True,
    help=(
        "Small-scale test run: small images, one epoch per stage, no weights, first seed and "
        f"fold. Results go to ./{REHEARSAL}."
    ),
)
@click.option("-n", "--dry-run", is_flag=True, help="Show what would run, then exit.")
@click.option("--check", is_flag=True, help="List missing data and weights, then exit.")
@json_option
@plugin_option
@pass_app
def run(app: App, /, **options: Any) -> int:
    """Train every candidate under one identical protocol and print the leaderboard.

    Without options it runs the benchmark 'quickstart', in a few minutes. FILE is a benchmark in
    TOML; options take precedence over it. Trials that are done are not repeated.

    \b
    mritk run
    mritk run -b efficientnet_lite0 -b small_cnn -d folder:./my-images
    mritk run --protocol standard -b convnext_tiny@imagenet -b convnext_tiny@scratch
    """
    chosen = click.get_current_context().get_parameter_source("folder")
    if options["rehearse"] and chosen is click.core.ParameterSource.DEFAULT:
        options["folder"] = Path(REHEARSAL)
    wish = options["device"]
    options["device"], options["gpus"] = use_gpus(wish, os.environ)
    if options["jobs"] == 1 and options["gpus"] > 1:
        raise UsageError(f"--jobs 1 trains on one GPU, and --device {wish} names {options['gpus']}")
    return Request(app, **options).execute()


@dataclass(frozen=True)
class Request:
    """One call of ``mritk run``: the options as fields."""

    app: App
    file: str | None
    backbones: tuple[str, ...]
    datasets: tuple[str, ...]
    patient_regex: str
    patients: str
    no_patient_ids: bool
    rename: tuple[str, ...]
    augmentations: tuple[str, ...]
    protocols: tuple[str, ...]
    vary: tuple[str, ...]
    seeds: int | None
    folds: tuple[int, ...]
    folder: Path
    device: str
    skip_unreadable: bool
    rerun: bool
    deterministic: bool
    engine: str
    compiled: bool
    graphs: bool
    checkpoint_minutes: float
    executor: str | None
    jobs: int | None  # None: auto
    trial_timeout: TrialTimeout | None
    budget: float | None  # in seconds
    keep_models: bool
    keep_embeddings: bool
    offline: bool
    rehearse: bool
    dry_run: bool
    check: bool
    as_json: bool
    gpus: int = 0  # how many GPUs are named, if several

    def execute(self) -> int:
        """Plan, run, report; return the exit code."""
        from mritk.backbone import require_weights
        from mritk.cli.warm_up import WarmUp
        from mritk.execute.claim import stamp_of
        from mritk.store.claims import unclaimed
        from mritk.store.folder import ResultsFolder
        from mritk.store.trial_state import TrialState
        from mritk.study.forecast import Forecast
        from mritk.study.schedule import in_order

        began = time.time()
        workspace = self.app.workspace(offline=self.offline or self.check)
        if self.check:
            return self.what_is_missing(workspace)
        results = ResultsFolder(self.folder)
        ways = ways_of(self.engine, compiled=self.compiled, graphs=self.graphs)
        self.require_devices_of_workers()
        self.require_possible(results)
        registry, exact = self.app.registry, self.deterministic
        benchmark = self.benchmark().using(self.backbones, registry, deterministic=exact)
        if benchmark.rehearse:
            say(REHEARSED)
        say("preparing data …")
        warm_up = WarmUp()
        plan = self.plan(benchmark, results, workspace, warm_up)
        forecast = Forecast.of(plan, results)
        plan = in_order(plan, forecast.seconds)
        if self.rerun:
            plan = plan.again({t.id: stamp_of(results.trial_path(t.id)) for t in plan.trials})
        tell_skipped(plan)
        tell_data(plan)
        if self.dry_run:
            return show_plan(plan, forecast, as_json=self.as_json)
        limits = limits_of(plan, forecast, self.trial_timeout, self.budget, began)
        if plan.todo:
            results.require_writable()
            require_weights(plan.backbones_to_train, workspace, say)
        at_once = trials_at_once(self, plan) if plan.todo else 1
        if self.executor or at_once != 1:  # workers take over what this process has imported
            warm_up.start(plan.backbones_to_train)
        make_room(plan, results)
        warm_up.wait()
        done = plan.in_state(TrialState.FINISHED)
        unneeded = plan.todo if self.rerun else done
        results.discard_checkpoints(unclaimed(results, (trial.id for trial in unneeded)))
        try:
            outcomes = train(self, plan, results, at_once, ways, limits)
        except KeyboardInterrupt:
            tell_left(plan, results, "interrupted")
            return ExitCode.INTERRUPTED
        if limits.notice.signalled:  # whoever says so is about to kill
            tell_left(plan, results, "told to end by SIGTERM")
            return ExitCode.INTERRUPTED
        return self.report(plan, results, outcomes)

    def report(
        self, plan: StudyPlan, results: ResultsFolder, outcomes: Sequence[Outcome]
    ) -> ExitCode:
        """Print the leaderboard, and what became of the trials; return the exit code."""
        from mritk.results.table_trial import TableTrial
        from mritk.results.trial_index import TrialIndex

        with TrialIndex(results) as index:
            found = dict(index.look_up(trial.id for trial in plan.trials))
            board = show_table(plan, outcomes, index, found, as_json=self.as_json)
        left, elsewhere = untrained(plan, outcomes, results, found)
        if self.keep_models:
            tell_without_model(plan, outcomes, elsewhere, results)
        if not self.as_json:
            stored = {trial for trial, there in found.items() if isinstance(there, TableTrial)}
            tell_what_next(plan, outcomes, results.path, board, stored, len(elsewhere))
        codes = {tell_lost(plan, outcomes, found), exit_code_of(outcomes)}
        if self.budget and left:
            tell_left(plan, results, f"the budget of {duration(self.budget)} is used")
            codes.add(ExitCode.INTERRUPTED)
        order = (ExitCode.INTERNAL, ExitCode.UNAVAILABLE, ExitCode.INTERRUPTED, ExitCode.OK)
        return next(code for code in order if code in codes)

    def plan(
        self, benchmark: Benchmark, results: ResultsFolder, workspace: Workspace, warm_up: WarmUp
    ) -> StudyPlan:
        """Plan the trials; fetch weights and begin the warm-up meanwhile."""
        from mritk.backbone import require_weights
        from mritk.cli.progress import progress_line
        from mritk.study.plan import Planner, ignore_names

        def begin(backbones: Sequence[Backbone]) -> None:
            require_weights(backbones, workspace, say)
            warm_up.start(backbones)

        with progress_line() as progress:
            planner = Planner(
                self.app.registry,
                workspace,
                self.skip_unreadable,
                progress,
                deterministic=self.deterministic,
                # Where trials are stored already, there may be nothing to train.
                on_names=ignore_names if self.dry_run or results.any() else begin,
                decode=not self.dry_run,
            )
            return planner.plan(benchmark, results)

    @property
    def asks_for_executor(self) -> bool:
        """Whether an executor is to train, and not this process."""
        return self.executor is not None or self.jobs not in (None, 1)

    def require_devices_of_workers(self) -> None:
        """Refuse one GPU for all workers of an executor, which shares out those it sees."""
        kind, _, index = self.device.partition(":")
        if self.asks_for_executor and index:
            raise UsageError(
                f"--device {self.device} would assign the same GPU to every worker; select GPUs "
                f"with CUDA_VISIBLE_DEVICES={index} and --device {kind}"
            )
        if self.gpus and self.executor not in (None, "processes", "ray"):
            raise UsageError(
                f"--device names GPUs of this machine; those of executor {self.executor} are "
                "its own"
            )

    def require_possible(self, results: ResultsFolder) -> None:
        """Refuse now what would be refused after the data are read.

        Raises:
            UnknownName: Nobody provides the executor.
            UsageError: The results folder cannot be written.
            Unavailable: The GPU is not there.
        """
        if self.executor is not None:
            self.app.registry.executor(self.executor)
        if self.dry_run:
            return
        results.require_reachable()
        if self.gpus:
            from mritk.machine.device import require_gpus

            require_gpus(self.gpus)
        # What is stored already needs no GPU; to look for one imports torch, which takes seconds.
        # Workers look for their own.
        if self.device.startswith("cuda") and not (self.asks_for_executor or results.any()):
            from mritk.machine.device import choose_device

            choose_device(self.device)

    def benchmark(self) -> Benchmark:
        """Return the benchmark of the file, or the default one, with the options in place."""
        from mritk.protocol.variation import parse_vary
        from mritk.study.benchmark import Benchmark
        from mritk.study.path_hint import hinted

        registry, benchmark = self.app.registry, Benchmark()
        if self.file:
            read = partial(Benchmark.named, self.file, registry)
            benchmark = hinted(read, self.file, registry, "-d")
        names = ("backbones", "datasets", "augmentations", "protocols", "folds")
        given = {name: getattr(self, name) for name in names if getattr(self, name)}
        if self.seeds is not None:
            given["seeds"] = tuple(range(self.seeds))
        if self.rehearse:
            given["rehearse"] = True
        if self.vary:
            given["vary"] = parse_vary(self.vary)
        given["data"] = over(benchmark.data, as_data_options(vars(self)))
        return replace(benchmark, **given).completed(registry)

    def what_is_missing(self, workspace: Workspace) -> ExitCode:
        """Look for the data and weights of every protocol that can be read; fetch nothing."""
        from mritk.cli.fetch import fetch_all

        registry, benchmark = self.app.registry, self.benchmark()
        needed = benchmark.takes_backbones(registry) and not benchmark.rehearse
        backbones = benchmark.backbones if needed else ()
        return fetch_all(
            benchmark.datasets,
            backbones,
            registry,
            workspace,
            instructions=benchmark.data.instructions,
            as_json=self.as_json,
        )
