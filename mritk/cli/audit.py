"""``mritk audit``: look for leaks and defects in datasets before anything is trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mritk.cli.app import App, UserPath, json_option, offline_option, pass_app, plugin_option
from mritk.cli.data_options import as_data_options, data_options
from mritk.cli.names import PluginName, names_option
from mritk.cli.tell import echo, echo_json, say
from mritk.errors import ExitCode

if TYPE_CHECKING:
    from mritk.audit.findings import Finding
    from mritk.study.opening import Opened


@click.command()
@click.argument("datasets", nargs=-1, required=True, type=PluginName("dataset"), metavar="DATASET…")
@names_option(
    "backbone", ("Also check whether this backbone was pretrained on the data; repeatable.")
)
@click.option(
    "--html",
    "page",
    type=UserPath(dir_okay=False),
    metavar="FILE",
    help="Write a page with the images of every duplicate cluster.",
)
@data_options
@offline_option
@json_option
@plugin_option
@pass_app
def audit(
    app: App,
    /,
    datasets: tuple[str, ...],
    backbones: tuple[str, ...],
    page: Path | None,
    offline: bool,
    as_json: bool,
    **data: Any,
) -> int:
    """Check DATASETs for leakage and defects, individually and against each other.

    Detects unreadable files and unusable label maps; duplicates (identical bytes, identical
    pixels, or re-encoded, resized, padded, cropped, flipped, rotated, sharpened, blurred, marked in
    a corner, or with changed brightness or contrast), also across splits and datasets; images with
    conflicting labels or patient ids; patients in two splits. 'mritk run' performs the same audit.

    Exit code 1: leakage or a defect was found; 0: none.

    \b
    mritk audit folder:./my-images
    mritk audit folder:./train-set folder:./test-set --html copies.html
    """
    from mritk.audit.audit import audit as audit_datasets
    from mritk.audit.label_maps import with_label_maps
    from mritk.audit.text import format_audit
    from mritk.cli.progress import progress_line
    from mritk.data.rank import has_grid
    from mritk.study.opening import open_datasets

    if page is not None and not page.parent.is_dir():
        raise click.UsageError(f"no folder {page.parent} to write {page.name} to")
    workspace = app.workspace(offline=offline)
    options = as_data_options(data)
    opened = open_datasets(datasets, app.registry, workspace, options)
    for found in opened:
        if not has_grid(found.samples.spatial_dims):
            raise click.UsageError(f"{found.record.name} contains neither images nor volumes")
    with progress_line() as progress:
        result = audit_datasets([found.for_audit() for found in opened], workspace, progress)
    result = with_label_maps(result).with_findings(_overlaps(app, opened, backbones))
    if as_json:
        echo_json(result.as_data())
    else:
        echo(format_audit(result))
    if page is not None:
        from mritk.audit.contact_sheet import contact_sheet
        from mritk.files.atomic import write_whole

        write_whole(page, contact_sheet(result).encode(), "choose another file with --html")
        say(f"Page: {page}")
    return ExitCode.OK if result.clean else ExitCode.GATE_FAILED


def _overlaps(app: App, opened: list[Opened], backbones: tuple[str, ...]) -> list[Finding]:
    from mritk.audit.findings import overlap

    found = []
    for backbone in (app.registry.backbone(name) for name in backbones):
        seen = backbone.weights.pretrained_on if backbone.weights else ()
        found += [overlap(d.record.name, d.sources, backbone.name, seen) for d in opened]
    return [finding for finding in found if finding is not None]
