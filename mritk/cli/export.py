"""``mritk export``: hand out the trained network of a trial."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mritk.cli.app import App, UserPath, pass_app, plugin_option, results_option
from mritk.cli.completed import complete_trial
from mritk.cli.tell import say
from mritk.errors import UsageError

if TYPE_CHECKING:
    from mritk.model.model_file import TrainedModel

FORMS = ("safetensors", "onnx")


@click.command()
@click.argument("trial", shell_complete=complete_trial)
@click.option(
    "--to",
    "form",
    type=click.Choice(FORMS),
    help="safetensors: tensors by name. onnx: a network that takes pixels in [0, 1]. "
    "Default: what FILE ends in.",
)
@click.option(
    "-o",
    "--output",
    "target",
    type=UserPath(dir_okay=False),
    required=True,
    metavar="FILE.(safetensors|onnx)",
    help="Output file.",
)
@results_option("Results folder of the trial.", "--results")
@plugin_option
@pass_app
def export(app: App, trial: str, form: str | None, target: Path, folder: Path) -> None:
    """Write the trained network of TRIAL, specified by id prefix, to FILE.

    The trial must be from 'mritk run --keep-models'. The network is rebuilt and all tensors are
    verified; an ONNX file is written only if it reproduces the scores of torch.
    For research use only; not for clinical use.

    \b
    mritk export 3f2a9c -o glioma.safetensors
    mritk export 3f2a9c -o glioma.onnx
    """
    from mritk.store.find_trial import find_trial
    from mritk.store.folder import ResultsFolder
    from mritk.store.kept_model import require_model

    form = _form(form, target)
    record = find_trial(trial, folder)
    if not record.finished:
        raise UsageError(f"trial {record.id[:8]} failed; 'mritk run' retries it")
    path = require_model(ResultsFolder(folder), record)
    if form == "onnx":
        from mritk.model.onnx_export import require_onnx

        require_onnx()
    from mritk.model.model_file import load_model

    model = load_model(path, app.registry.backbone)
    _tell_other_plugin(record.provenance.get("plugins", {}).get("architecture", ""), model)
    if form == "onnx":
        _write_onnx(model, target)
    else:
        from mritk.files.atomic import write_whole

        write_whole(target, path.read_bytes())
    what = ", ".join(model.classes) or "values"
    say(f"{target}: {record.backbone} on {record.dataset}, {what}")
    say("For research use only; not for clinical use.")


def _form(asked: str | None, target: Path) -> str:
    """Return the format of a file, which its name must tell too, or others take it for another.

    Raises:
        UsageError: The name ends in something else.
    """
    told = target.suffix.lower().removeprefix(".")
    known = (asked,) if asked else FORMS
    if told not in known:
        endings = " or ".join(f".{form}" for form in known)
        why = f" for --to {asked}" if asked else ""
        raise UsageError(f"{target.name} must end in {endings}{why}; nothing was written")
    return told


def _write_onnx(model: TrainedModel, target: Path) -> None:
    from mritk.files.atomic import write_whole
    from mritk.model.onnx_export import BATCHES, check_onnx, to_onnx

    content = to_onnx(model)
    # Checked before it stands under its name, so that nobody picks up a wrong one.
    difference = check_onnx(content, model)
    write_whole(target, content)
    sizes = ", ".join(map(str, BATCHES))
    say(
        f"compared with torch on batches of {sizes} images: largest relative difference "
        f"{difference:.1e}"
    )


def _tell_other_plugin(then: str, model: TrainedModel) -> None:
    """Say so if the architecture now comes from another plugin, or version, than it did then."""
    now = str(model.architecture.origin)
    if then and then != now:
        say(
            f"mritk: the architecture was built by {then}, now by {now}; all tensors match, but "
            "compare some scores before use"
        )
