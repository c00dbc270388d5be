"""The option ``--device``, checked where it is typed."""

from __future__ import annotations

import re

import click

KNOWN = re.compile(r"auto|cpu|cuda(:\d+)?")
MEANT = {
    "gpu": "; an NVIDIA or AMD GPU is cuda",
    "mps": "; on a Mac, mritk uses the cpu",
}


class DeviceName(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """``auto``, ``cpu``, ``cuda`` or ``cuda:N``; whether it is there, torch will know."""

    name = "device"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, or refuse it."""
        if not KNOWN.fullmatch(value):
            meant = MEANT.get(value.partition(":")[0].lower(), "")
            self.fail(
                f"unknown device {value!r}; expected auto, cpu, cuda or cuda:N{meant}", param, ctx
            )
        return value


device_option = click.option(
    "--device",
    type=DeviceName(),
    metavar="NAME",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda or cuda:N.",
)
