"""``mritk card``: write a model card."""

from __future__ import annotations

from pathlib import Path

import click

from mritk.cli.app import App, UserPath, pass_app, plugin_option, results_option
from mritk.cli.completed import complete_trial
from mritk.cli.tell import echo, say


@click.command()
@click.argument("name", metavar="BACKBONE|TRIAL", shell_complete=complete_trial)
@click.option(
    "-o",
    "--output",
    "target",
    type=UserPath((".md",), dir_okay=False),
    metavar="FILE.md",
    help="Output file. Default: stdout.",
)
@results_option("Results folder of the trial.", "--results")
@plugin_option
@pass_app
def card(app: App, name: str, target: Path | None, folder: Path) -> None:
    """Write the model card of a backbone, or of a trial specified by id prefix or file.

    The card of a trial states data, split level, protocol, scores, calibration, limitations,
    licences, cost and provenance, all from its trial file, in the format of the Hugging Face Hub.

    \b
    mritk card 3f2a9c -o README.md
    mritk card densenet121@imagenet
    """
    from mritk.errors import UnknownName
    from mritk.files.atomic import write_whole
    from mritk.store.find_trial import trial_or_none

    record = trial_or_none(name, folder)
    if record is not None:
        from mritk.cards.trial_card import trial_card

        text = trial_card(record)
    else:
        from mritk.cards.backbone_card import backbone_card

        try:
            text = backbone_card(app.registry.backbone(name))
        except UnknownName as error:
            raise UnknownName(
                f"{error}; nor is it a trial id in {folder}; use --results for another folder"
            ) from None
    if target is None:
        echo(text, end="")
        return
    write_whole(target, text.encode(), "choose another file with -o")
    say(f"wrote {target}")
