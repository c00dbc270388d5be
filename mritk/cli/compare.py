"""``mritk compare``: the gate for continuous integration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from mritk.cli.analysis_options import analysis_options, as_analysis, metrics_option
from mritk.cli.app import App, json_option, pass_app, plugin_option
from mritk.cli.tell import echo
from mritk.cli.terminal import format_option, style_and_width, wide_option


@click.command()
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("head", type=click.Path(path_type=Path))
@metrics_option("Repeat for more. Default: those of the rules, or the first one of the task.")
@click.option(
    "--fail-on",
    "rules",
    multiple=True,
    metavar="RULE",
    help="'balanced_accuracy < -1.0pt' fails a fall that is shown to be greater than a point; "
    "'log_loss > 0.05' a rise. Repeat for more. Default: whatever is shown to be worse.",
)
@format_option(["github", "plain", "json"], "How the comparison is written.")
@wide_option
@json_option
@analysis_options
@plugin_option
@pass_app
def compare(app: App, /, base: Path, head: Path, **options: Any) -> int:
    """Compare the results folders BASE and HEAD; fail on evidence of a regression.

    Trials are paired by dataset, backbone, augmentation, protocol, fold and seed. Each row is
    better, worse, or the data cannot tell.

    Exit code 0: no regression is shown. 1: one is. 4: a difference could not be tested (one seed
    per row without --given-these-models, say), a trial is missing, or was made on other data or
    under another protocol (the fields are printed). 2 and 3 are misuse and crashes.
    """
    from mritk.compare.gate import compare_folders
    from mritk.compare.gate_text import comparisons_as_data, comparisons_text
    from mritk.compare.rule import Rule
    from mritk.store.folder import ResultsFolder

    rules = [Rule.from_text(rule) for rule in options["rules"]]
    found = compare_folders(
        ResultsFolder(base).trials(),
        ResultsFolder(head).trials(),
        metrics=options["metrics"],
        rules=rules,
        analysis=as_analysis(app, options),
    )
    style, width = style_and_width(options)
    if style == "json":
        echo(json.dumps(comparisons_as_data(found), indent=2))
    else:
        echo(comparisons_text(found, style, width))
    return found.exit_code
