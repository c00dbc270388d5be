"""The option ``--engine``: how a network is computed."""

from __future__ import annotations

import click

from mritk.cli.app import together
from mritk.cli.tell import say
from mritk.errors import UsageError

ENGINES = ("auto", "eager", "graphs", "compile")

engine_options = together(
    click.option(
        "--engine",
        type=click.Choice(ENGINES),
        default="auto",
        show_default=True,
        help=(
            "Compute step by step (eager), replay CUDA graphs, or compile with torch.compile, "
            "replayed as graphs on a GPU; auto: graphs on a GPU, else eager."
        ),
    ),
    click.option("--compile", "compiled", is_flag=True, help="Deprecated: --engine compile."),
    click.option("--graphs", is_flag=True, help="Deprecated: --engine graphs."),
)


def ways_of(engine: str, *, compiled: bool, graphs: bool) -> tuple[bool, bool | None]:
    """Return whether networks are compiled, and whether graphs are replayed; None: on a GPU.

    Args:
        engine: One of :data:`ENGINES`.
        compiled: The flag ``--compile`` of before.
        graphs: The flag ``--graphs`` of before. Both together still mean both.

    Raises:
        UsageError: A flag contradicts the engine.
    """
    flags = {"compile": compiled, "graphs": graphs}
    given = [name for name, is_given in flags.items() if is_given]
    if not given:
        on_gpu = engine in ("auto", "compile")
        return engine == "compile", None if on_gpu else engine == "graphs"
    if engine not in ("auto", *given):
        raise UsageError(
            f"--{given[0]} contradicts --engine {engine}; specify --engine alone, since "
            f"--{given[0]} is deprecated"
        )
    for name in given:
        say(f"--{name} is deprecated; use --engine {name}")
    return compiled, graphs
