"""What ``run``, ``audit`` and ``report`` let a person say about all datasets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from mritk.cli.app import together

if TYPE_CHECKING:
    from mritk.study.data_options import DataOptions

# The parameters that these options become.
DATA_OPTIONS = ("patient_regex", "patients", "no_patient_ids", "rename")

data_options = together(
    click.option(
        "--patient-regex",
        default="",
        metavar="REGEX",
        help=(
            "Extract the patient from sample ids with REGEX (its first group, if any), in every "
            "dataset without patient ids. For a single dataset: -d "
            "'folder:PATH,patient_regex=REGEX'; likewise patients, no_patient_ids=true, "
            "rename=OLD=NEW."
        ),
    ),
    click.option(
        "--patients",
        default="",
        metavar="FILE.csv",
        help="Table with the columns id and patient, and optionally site.",
    ),
    click.option(
        "--no-patient-ids",
        is_flag=True,
        help="Accept an image-level split of data without patient ids; reported in the table.",
    ),
    click.option(
        "--rename",
        multiple=True,
        metavar="OLD=NEW",
        help="Rename a class, for instance to join datasets with different spellings; repeatable.",
    ),
)


def as_data_options(options: Mapping[str, Any]) -> DataOptions:
    """Return what the options of a call say of all datasets.

    Raises:
        click.BadParameter: A ``--rename`` is not ``OLD=NEW``.
    """
    from mritk.study.data_options import DataOptions

    rename: dict[str, str] = {}
    for text in options["rename"]:
        old, equals, new = text.partition("=")
        if not (old and equals and new):
            raise click.BadParameter(f"{text!r} is not OLD=NEW", param_hint="--rename")
        if rename.setdefault(old, new) != new:
            raise click.BadParameter(f"{old} is renamed twice", param_hint="--rename")
    told = {name: options[name] for name in DATA_OPTIONS}
    return DataOptions(**{**told, "rename": rename})


def over(file: DataOptions, line: DataOptions) -> DataOptions:
    """Return the options of a benchmark file with those of the command line in their place.

    The three ways of telling patients exclude each other, so one of them takes the place of all.
    """
    told = line if line.patient_regex or line.patients or line.no_patient_ids else file
    return replace(told, rename={**file.rename, **line.rename}, instructions=file.instructions)
