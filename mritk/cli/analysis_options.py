"""What all commands that compute numbers from predictions let a person choose."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from mritk.cli.app import App, Option, together
from mritk.cli.completed import complete_metric

if TYPE_CHECKING:
    from mritk.results.analysis import Analysis
    from mritk.store.record import TrialIdentity

# The parameters that these options become.
ANALYSIS_OPTIONS = ("level", "interval", "resamples", "temperature", "given_these_models")

# The words are those of mritk.results.analysis, which is not imported here: it would load numpy.
analysis_options = together(
    click.option(
        "--level",
        type=click.Choice(["image", "patient"]),
        default="image",
        show_default=True,
        help="Score images, or patients by the mean probability of their images.",
    ),
    click.option(
        "--interval",
        type=click.Choice(["student", "percentile", "bca", "none"]),
        default="student",
        show_default=True,
        help="Interval method: Student's t, or percentiles or BCa of the resamples.",
    ),
    click.option(
        "--resamples",
        type=click.IntRange(min=100),
        default=2000,
        show_default=True,
        help="Bootstrap resamples.",
    ),
    click.option(
        "--temperature",
        is_flag=True,
        help="Divide logits by a temperature fitted on the validation set.",
    ),
    click.option(
        "--given-these-models",
        is_flag=True,
        help="Compare these trained networks only, without the effect of other seeds.",
    ),
)


def metrics_option(text: str) -> Option:
    """Return ``--metric``, which may be repeated and becomes the parameter ``metrics``."""
    return click.option(
        "--metric",
        "metrics",
        multiple=True,
        metavar="NAME",
        shell_complete=complete_metric,
        help=text,
    )


sort_option = click.option(
    "--sort",
    default="",
    metavar="NAME",
    shell_complete=complete_metric,
    help="Metric for sorting, shown first.",
)


rows_option = click.option(
    "--rows",
    default="",
    metavar="NAME[,NAME…]",
    help=(
        "What rows of a table differ in: backbone, augmentation, protocol, method; each value of "
        "the others has its own table. Default: whatever differs."
    ),
)


# The words are those of mritk.results.ensembles.
ensemble_option = click.option(
    "--ensemble",
    "ensembles",
    multiple=True,
    type=click.Choice(["seeds", "folds", "backbones", "greedy"]),
    help=(
        "Add ensembles of stored predictions: of all seeds of a row, of its folds (official test "
        "set), of all rows, or of rows selected on the validation set (greedy). Repeatable."
    ),
)


by_option = click.option(
    "--by",
    metavar="COVARIATE",
    default="",
    help=(
        "One table per group of test samples: site, source, duplicate (in the original training "
        "set, or not), class, or a covariate such as sex; of a number with edges: age:40,60. "
        "Joined by +: duplicate+class."
    ),
)


# Which trials a table is made of; :func:`chosen` is their meaning.
trials_options = together(
    click.option(
        "-d",
        "--dataset",
        "datasets",
        multiple=True,
        metavar="NAME",
        help="Only trials on this dataset; * stands for any text. Repeatable.",
    ),
    click.option(
        "--protocol",
        "protocols",
        multiple=True,
        metavar="NAME",
        help="Only trials of this protocol; * stands for any text ('quick[*'). Repeatable.",
    ),
)


def chosen(options: Mapping[str, Any]) -> Callable[[TrialIdentity], bool]:
    """Return what says whether :data:`trials_options` choose a trial."""
    wanted = {
        key: [re.compile(".*".join(map(re.escape, name.split("*")))) for name in options[named]]
        for key, named in (("dataset", "datasets"), ("protocol", "protocols"))
    }

    def is_chosen(trial: TrialIdentity) -> bool:
        return all(
            not names or any(name.fullmatch(getattr(trial, key)) for name in names)
            for key, names in wanted.items()
        )

    return is_chosen


def asked_for(options: Mapping[str, Any]) -> str:
    """Return in words which trials :data:`trials_options` ask for."""
    names = [*options["datasets"], *options["protocols"]]
    return f"trials of {', '.join(names)}" if names else "trials"


def split_names(text: str) -> list[str]:
    """Return the names of a list with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def as_analysis(app: App, options: Mapping[str, Any], *, by: str = "") -> Analysis:
    """Return the analysis that the options ask for; it knows the metrics of plugins."""
    from mritk.results.analysis import Analysis

    chosen = {name: options[name] for name in ANALYSIS_OPTIONS}
    ensembles = tuple(options.get("ensembles", ()))
    extra = tuple(app.registry.metrics())
    return Analysis(**chosen, by=by, ensembles=ensembles, extra_metrics=extra)
