"""What is seen while data are prepared and no terminal is there."""

from __future__ import annotations

from types import SimpleNamespace

from mritk.cli.progress import progress_line


def test_without_a_terminal_a_line_comes_once_a_minute_and_none_in_the_first(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("mritk.cli.progress.time", SimpleNamespace(monotonic=lambda: now[0]))
    with progress_line() as show:
        for second in range(0, 150, 10):
            now[0] = second
            show("reading", second / 200)
    assert capsys.readouterr().err.splitlines() == ["reading: 30%", "reading: 60%"]
