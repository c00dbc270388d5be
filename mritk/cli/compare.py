"""``mritk compare``: the gate for continuous integration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mritk.cli.analysis_options import (
    analysis_options,
    as_analysis,
    metrics_option,
    trials_options,
)
from mritk.cli.app import App, UserPath, json_option, pass_app, plugin_option
from mritk.cli.paired_folders import paired_folders
from mritk.cli.tell import echo, echo_json
from mritk.cli.terminal import format_option, require_one_style, style_and_width, wide_option


@click.command()
@click.argument("base", type=UserPath())
@click.argument("head", type=UserPath())
@metrics_option("Repeatable. Default: those of the rules, or the first metric of the task.")
@click.option(
    "--fail-on",
    "rules",
    multiple=True,
    metavar="RULE",
    help=(
        "'balanced_accuracy < -1.0pt' fails on a significant drop of more than one point; "
        "'log_loss > 0.05' on an increase. Repeatable. Default: any significant regression."
    ),
)
@trials_options
@format_option(["github", "plain", "json"])
@wide_option
@json_option
@analysis_options
@plugin_option
@pass_app
def compare(app: App, /, base: Path, head: Path, **options: Any) -> int:
    """Compare the results folders BASE and HEAD; fail on a significant regression.

    Trials are paired by dataset, backbone, augmentation, protocol, fold and seed. Each row is
    better, worse, or undecided.

    Exit code 0: no regression detected. 1: regression detected. 4: a difference could not be
    tested (such as one seed per row without --given-these-models), a trial is missing, or used
    other data or another protocol (differing fields are printed). 2, 3: usage, internal error.
    """
    from mritk.compare.gate import compare_folders
    from mritk.compare.gate_text import comparisons_as_data, comparisons_text
    from mritk.compare.rule import Rule

    require_one_style(options)
    rules = [Rule.from_text(rule) for rule in options["rules"]]
    found = compare_folders(
        *paired_folders(base, head, options),
        metrics=options["metrics"],
        rules=rules,
        analysis=as_analysis(app, options),
    )
    style, width = style_and_width(options)
    if style == "json":
        echo_json(comparisons_as_data(found))
    else:
        echo(comparisons_text(found, style, width))
    return found.exit_code
