"""The option ``--device``, checked where it is typed."""

from __future__ import annotations

import re
from collections.abc import MutableMapping

import click

from mritk.cli.app import Option

VISIBLE = "CUDA_VISIBLE_DEVICES"
KNOWN = re.compile(r"auto|cpu|cuda(:\d+)?")
SEVERAL = re.compile(r"cuda:\*|cuda:\d+(,cuda:\d+)+")
MEANT = {
    "gpu": "; an NVIDIA or AMD GPU is cuda",
    "mps": "; on a Mac, mritk uses the cpu",
}


class DeviceName(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """``auto``, ``cpu``, ``cuda`` or ``cuda:N``; whether it is there, torch will know.

    Where ``several`` are of use, ``cuda:*`` and ``cuda:0,cuda:1`` as well.
    """

    name = "device"

    def __init__(self, *, several: bool = False) -> None:
        self.several = several

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, or refuse it."""
        several = bool(SEVERAL.fullmatch(value))
        if not KNOWN.fullmatch(value) and not (several and self.several):
            meant = MEANT.get(value.partition(":")[0].lower(), "")
            if several:
                meant = "; this command uses one GPU"
            self.fail(
                f"unknown device {value!r}; expected auto, cpu, cuda or cuda:N{meant}", param, ctx
            )
        return value


def use_gpus(wish: str, environ: MutableMapping[str, str]) -> tuple[str, int]:
    """Let this process see those GPUs alone that a wish names.

    Args:
        wish: As :class:`DeviceName` takes it.
        environ: The environment, before CUDA has looked at it.

    Returns:
        The wish for one GPU or any, and how many GPUs it names if these are several, else 0.
    """
    if not SEVERAL.fullmatch(wish):
        return wish, 0
    if wish == "cuda:*":
        return "cuda", 0
    numbers = list(dict.fromkeys(part.removeprefix("cuda:") for part in wish.split(",")))
    count = len(numbers)
    if VISIBLE in environ:  # empty: none
        named = [name.strip() for name in environ[VISIBLE].split(",") if name.strip()]
        numbers = [named[int(number)] for number in numbers if int(number) < len(named)]
    environ[VISIBLE] = ",".join(numbers)
    return "cuda", count


def _option(kind: DeviceName, text: str) -> Option:
    return click.option(
        "--device", type=kind, metavar="NAME", default="auto", show_default=True, help=text
    )


device_option = _option(DeviceName(), "auto, cpu, cuda or cuda:N.")
devices_option = _option(
    DeviceName(several=True), "auto, cpu, cuda, cuda:N, or several such as cuda:0,cuda:1."
)
