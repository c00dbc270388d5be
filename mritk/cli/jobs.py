"""The option ``--jobs``."""

from __future__ import annotations

import click

AUTO = "auto"


class JobCount(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """A number of trials, or ``auto``, which is None."""

    name = "jobs"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Return the number, or refuse it."""
        if value == AUTO:
            return None
        if not (value.isascii() and value.isdigit() and int(value)):
            self.fail(f"{value!r} is neither 'auto' nor a number of at least 1", param, ctx)
        return int(value)


jobs_option = click.option(
    "--jobs",
    type=JobCount(),
    metavar="N|auto",
    default=AUTO,
    envvar="MRITK_JOBS",
    show_default=True,
    help=(
        "Number of trials trained in parallel; auto: as many as speed up one GPU, one on each of "
        "several, else one per core."
    ),
)
