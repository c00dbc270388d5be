"""What commands cost per stored trial, with and without the index of the results folder.

    python -m benchmarks.speed.many_trials [--rows N] [--seeds N] [--only COMMAND] [--json FILE]

Trials that learn nothing (:mod:`benchmarks.speed.no_training`): by default ten rows. Each command
runs in a process of its own, first without an index and then with it. Times are of the processor;
that beyond the same command on a folder of one trial of each row is divided by the number of
further ones. Intervals rest on 100 resamples; the page of ``mritk report`` has none.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from tabulate import tabulate

from benchmarks.speed.command_line import positive
from benchmarks.speed.copied_trials import write_copies
from benchmarks.speed.fresh_process import run_python
from benchmarks.speed.measurement import progress
from benchmarks.speed.report import processor
from mritk.files.results_names import INDEX
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import read_trial

PLUGIN = Path(__file__).with_name("no_training.py")
# The end of a program that tells what its process took. The peak that getrusage tells would begin
# at that of this process.
TOLD = """
used = resource.getrusage(resource.RUSAGE_SELF)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
with open(sys.argv[1], "w") as out:
    peak = int(status["VmHWM"].split()[0]) / 1024
    json.dump([used.ru_utime + used.ru_stime, peak], out)
"""
# A command of mritk, and what a plan asks a results folder.
MRITK = f"""
import json, resource, sys
from mritk.cli.main import main
sys.stdout = open("/dev/null", "w")
main(sys.argv[2:])
{TOLD}"""
STATES = f"""
import json, resource, sys
from pathlib import Path
from mritk.store.folder import ResultsFolder
folder = ResultsFolder(Path(sys.argv[2]))
folder.states(folder.trial_paths())
{TOLD}"""
# RESULTS stands for the folder, RUN for the command that trained what is in it.
COMMANDS = {
    "status": (MRITK, ["status", "RESULTS"]),
    "leaderboard, no intervals": (MRITK, ["leaderboard", "RESULTS", "--interval", "none"]),
    "leaderboard of other trials": (MRITK, ["leaderboard", "RESULTS", "--dataset", "another"]),
    "leaderboard, intervals": (MRITK, ["leaderboard", "RESULTS", "--resamples", "100"]),
    "states of all": (STATES, ["RESULTS"]),
    "run of what is done": (MRITK, ["RUN"]),
    "doctor": (MRITK, ["doctor", "RESULTS"]),
    "report": (MRITK, ["report", "RESULTS", "--interval", "none", "-o", "/dev/null"]),
}


def write_trials(full: Path, few: Path, rows: int, seeds: int) -> None:
    """Fill a results folder with so many trials of each row, and another one with the first ones.

    These are trained, the others are copies of them.
    """
    told([*run_of(few, rows), "--seeds", "1"])
    shutil.copytree(few, full)
    planned: dict[str, dict[int, str]] = defaultdict(dict)
    for trial in json.loads(told([*run_of(full, rows, seeds), "--dry-run", "--json"])):
        planned[trial["protocol"]][trial["seed"]] = trial["id"]
    folder = ResultsFolder(full)
    for ids in planned.values():
        record = read_trial(folder.trial_path(ids.pop(0)))
        write_copies(folder, record, ids)


def run_of(folder: Path, rows: int, seeds: int = 1) -> list[str]:
    """Return the command that trains all trials of a folder."""
    variants = ",".join(map(str, range(rows)))
    command = ["run", "-p", str(PLUGIN), "-d", "dots", "--protocol", "nothing", "--jobs", "1"]
    command += ["--vary", f"parameters.variant={variants}", "--results", str(folder)]
    return [*command, "--seeds", str(seeds)]


def told(arguments: Sequence[str]) -> str:
    """Return what a command of mritk prints.

    Raises:
        ProcessFailed: It failed.
    """
    return run_python(["-m", "mritk", *arguments])


def measured(what: str, results: Path, run: Sequence[str]) -> tuple[float, float]:
    """Run a command in a process of its own; return its seconds of processor time, its peak in MB.

    ``run`` trained what is in the folder ``results``.

    Raises:
        RuntimeError: The command failed.
    """
    program, arguments = COMMANDS[what]
    stands_for = {"RESULTS": [str(results)], "RUN": run}
    words = [part for word in arguments for part in stands_for.get(word, [word])]
    with tempfile.TemporaryDirectory() as name:
        told = Path(name) / "told.json"
        command = [sys.executable, "-c", program, str(told), *words]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if not told.exists():
            raise RuntimeError(f"{what}: {ended.stderr}")
        seconds, peak = json.loads(told.read_text(encoding="utf-8"))
    return seconds, peak


def compared(what: str, full: Path, few: Path, rows: int, seeds: int) -> dict[str, object]:
    """Return the line of a command.

    Args:
        what: The command.
        full: The folder with many trials.
        few: The folder with the first of each row.
        rows: The number of rows.
        seeds: The number of trials of each row in the first folder.
    """
    line: dict[str, object] = {"command": what}
    known = {folder: _taken_away(folder) for folder in (full, few)}
    for index in ("without", "with"):
        if index == "with":
            for folder, content in known.items():
                if content and not (folder / INDEX).exists():  # the command makes none
                    (folder / INDEX).write_bytes(content)
        start, _ = measured(what, few, run_of(few, rows))
        seconds, peak = measured(what, full, run_of(full, rows, seeds))
        line[f"s, {index}"] = f"{seconds:.2f}"
        line[f"ms per trial, {index}"] = f"{1e3 * (seconds - start) / (rows * (seeds - 1)):.3f}"
        line[f"peak MB, {index}"] = round(peak)
    return line


def _taken_away(folder: Path) -> bytes:
    index = folder / INDEX
    content = index.read_bytes() if index.exists() else b""
    index.unlink(missing_ok=True)
    return content


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--rows", type=positive, default=10, metavar="N", help="default: 10")
    add("--seeds", type=positive, default=2000, metavar="N", help="of each row; default: 2000")
    add("--only", action="append", choices=COMMANDS, metavar="COMMAND", help="a line; repeat")
    add("--json", type=Path, metavar="FILE", help="write the lines here")
    options = parser.parse_args(arguments)
    rows, seeds = options.rows, options.seeds
    if seeds < 2:
        parser.error("--seeds must be 2 at least, as the first is what others are compared with")
    lines = []
    with tempfile.TemporaryDirectory() as name:
        full, few = Path(name) / "full", Path(name) / "few"
        progress(f"writing {rows * seeds} trials")
        write_trials(full, few, rows, seeds)
        for what in options.only or COMMANDS:
            lines.append(compared(what, full, few, rows, seeds))
            progress("  " + ", ".join(f"{key}: {value}" for key, value in lines[-1].items()))
            if options.json is not None:
                options.json.write_text(json.dumps(lines, indent=2), encoding="utf-8")
    day = datetime.now(timezone.utc).date().isoformat()
    print(f"{rows} rows of {seeds} trials, {processor()}, {os.cpu_count()} cores, {day}\n")
    print(tabulate(lines, headers="keys", tablefmt="github", disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
