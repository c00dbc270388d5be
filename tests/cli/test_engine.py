"""How networks are computed is chosen by one option; the flags of before still mean the same."""

from __future__ import annotations

import pytest

from mritk.cli.engine import ways_of
from mritk.errors import UsageError
from mritk.machine.engine import Engine


@pytest.mark.parametrize(
    ("engine", "on_cpu", "on_gpu"),
    [
        ("auto", (False, False), (False, True)),
        ("eager", (False, False), (False, False)),
        ("graphs", (False, True), (False, True)),
        ("compile", (True, False), (True, True)),
    ],
)
def test_graphs_are_replayed_on_a_gpu_unless_another_engine_is_chosen(engine, on_cpu, on_gpu):
    for device, expected in (("cpu", on_cpu), ("cuda:1", on_gpu)):
        made = Engine(device, *ways_of(engine, compiled=False, graphs=False))
        assert (made.compile, made.replays) == expected


@pytest.mark.parametrize("flags", [("compile",), ("graphs",), ("compile", "graphs")])
def test_a_flag_of_before_is_the_engine_of_its_name_and_says_so(flags, capsys):
    given = {"compiled": "compile" in flags, "graphs": "graphs" in flags}
    assert ways_of("auto", **given) == (given["compiled"], given["graphs"])
    told = capsys.readouterr().err.splitlines()
    assert told == [f"--{name} is deprecated; use --engine {name}" for name in flags]


def test_a_flag_of_before_that_contradicts_the_engine_is_refused(run_toy):
    with pytest.raises(UsageError, match="--graphs contradicts --engine eager"):
        ways_of("eager", compiled=False, graphs=True)
    ended = run_toy("--compile", "--engine", "graphs")
    assert ended.code == 2
    assert "preparing data" not in ended.err
