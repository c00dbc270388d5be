"""What a shell completes beside the names of plugins: trials, metrics, columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from mritk.cli.app import App

# What 'mritk leaderboard --columns' takes; mritk.results.columns, which loads numpy, has the same.
COLUMNS = (
    *("intervals", "sd", "trials", "method", "parameters", "trained", "flops", "latency"),
    *("train_speed", "speed", "hours", "gpu_hours", "energy", "memory"),
)


def _completing(
    known: Callable[[click.Context], Iterable[str]],
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return a function for ``shell_complete``; it never prints a traceback into a prompt."""

    def complete(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        try:
            names = [name for name in known(context) if name.startswith(last)]
        except Exception:
            return []
        return [CompletionItem(f"{before}{comma}{name}") for name in names]

    return complete


@_completing
def complete_trial(context: click.Context) -> Iterable[str]:
    from mritk.store.places import trial_paths

    folder = Path(context.params.get("folder") or "mritk-results")
    return trial_paths(folder)


@_completing
def complete_metric(context: click.Context) -> Iterable[str]:
    from mritk.evaluate.metrics import all_metrics

    return all_metrics(context.ensure_object(App).registry.metrics())


complete_column = _completing(lambda context: COLUMNS)
