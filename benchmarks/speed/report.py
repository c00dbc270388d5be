"""What a speed benchmark leaves behind: a table for people, JSON with every repetition."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate

from benchmarks.speed.measurement import Sample, progress

# Above this share of the machine, what others do begins to show in the figures.
QUIET = 0.06


class Report:
    """The rows of one command's table, and the raw samples behind them."""

    def __init__(self, command: str, options: argparse.Namespace, device: str) -> None:
        self._content: dict[str, Any] = {
            "command": command,
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            **machine(device),
            "repetitions": options.repeats,
            "options": {name: _plain(value) for name, value in vars(options).items()},
            "rows": [],
        }
        self._rows: list[dict[str, Any]] = []
        self._busy = 0
        self._json: Path | None = options.json

    def add(self, row: dict[str, Any], **samples: Sequence[Sample]) -> None:
        """Add a row and the samples that it comes from; the file is written at once."""
        loads = [s.other_load for of in samples.values() for s in of if s.other_load is not None]
        load = statistics.median(loads) if loads else None
        self._busy += load is not None and load > QUIET
        shown = row | {"others' load": "unknown" if load is None else _share(load)}
        self._rows.append(shown)
        raw = {name: [asdict(sample) for sample in of] for name, of in samples.items()}
        self._content["rows"].append(row | {"samples": raw})
        progress("  " + ", ".join(f"{name}: {value}" for name, value in shown.items()))
        if self._json is not None:  # a long measurement that is interrupted keeps what it has
            self._json.write_text(json.dumps(self._content, indent=2), encoding="utf-8")

    def show(self) -> None:
        """Print the table, and warn if the machine was not quiet."""
        facts = self._content
        print(
            f"{facts['device']}, {facts['cores']} cores, {facts['threads']} threads, torch "
            f"{facts['torch']}, {facts['date'][:10]}, {facts['repetitions']} repetitions\n"
        )
        print(tabulate(self._rows, headers="keys", tablefmt="github"))
        if self._busy:
            progress(
                f"{self._busy} of {len(self._rows)} rows were measured while others used more than "
                f"{_share(QUIET)} of the machine; measure again when it is quiet"
            )


def machine(device: str) -> dict[str, Any]:
    """Return what the figures depend on."""
    on_gpu = device.startswith("cuda")
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def processor() -> str:
    """Return the name of the processor as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def rounded(value: float, digits: int = 3) -> float:
    """Return ``value`` with so many significant digits."""
    return float(f"{value:.{digits}g}")


def verdict(measured: float, *, at_most: float | None = None, at_least: float | None = None) -> str:
    """Return the goal and whether it is met; empty without a goal."""
    if at_most is not None:
        return f"≤ {at_most:g}: {'met' if measured <= at_most else 'missed'}"
    if at_least is not None:
        return f"≥ {at_least:g}: {'met' if measured >= at_least else 'missed'}"
    return ""


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
