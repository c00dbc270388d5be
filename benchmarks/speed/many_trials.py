"""What commands cost per stored trial, with and without the index of the results folder.

    python -m benchmarks.speed.many_trials [--trials N] [--rows N] [--json FILE]

Trials of 12 test samples and 3 classes: by default ten rows, all of one dataset. Each command runs
in a process of its own, first without an index and then with it. Times are of the processor; that
beyond the same command on a folder of ten trials is divided by the number of further ones.
Intervals rest on 100 resamples; the page of ``mritk report`` has none.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from tabulate import tabulate

from benchmarks.speed.command_line import positive
from benchmarks.speed.copied_trials import write_copies
from benchmarks.speed.measurement import progress
from benchmarks.speed.report import processor
from mritk.method import Epoch
from mritk.store.folder import ResultsFolder
from mritk.store.index_file import INDEX
from mritk.store.record import Predictions, TrialRecord
from mritk.tasks.classification import Classification

ROWS, SAMPLES, CLASSES = 10, 12, ("glioma", "meningioma", "pituitary")
ROWS_OF_A_TABLE = 100
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
# RESULTS stands for the folder.
COMMANDS = {
    "status": (MRITK, ["status", "RESULTS"]),
    "leaderboard, no intervals": (MRITK, ["leaderboard", "RESULTS", "--interval", "none"]),
    "leaderboard of other trials": (MRITK, ["leaderboard", "RESULTS", "--dataset", "another"]),
    "leaderboard, intervals": (MRITK, ["leaderboard", "RESULTS", "--resamples", "100"]),
    "plan of what is done": (STATES, ["RESULTS"]),
    "doctor": (MRITK, ["doctor", "RESULTS"]),
    "report": (MRITK, ["report", "RESULTS", "--interval", "none", "-o", "/dev/null"]),
}


def write_trials(folder: ResultsFolder, count: int, rows: int = ROWS) -> None:
    """Write so many finished trials of so many rows, at most a hundred of them in a table."""
    draw = np.random.default_rng(0)
    names = [f"image-{k:02d}" for k in range(SAMPLES)]
    target = np.arange(SAMPLES) % len(CLASSES)

    def predictions() -> Predictions:
        score = draw.normal(size=(SAMPLES, len(CLASSES))).astype(np.float32)
        patients = [f"patient-{k // 2}" for k in range(SAMPLES)]
        return Predictions(names, patients, [""] * SAMPLES, [""] * SAMPLES, target, score)

    for row in range(rows):
        dataset, seeds = row // ROWS_OF_A_TABLE, range(len(range(row, count, rows)))
        record = TrialRecord(
            id="",
            dataset=f"small{dataset}",
            dataset_fingerprint=f"{dataset:064x}",
            backbone=f"network{row % ROWS_OF_A_TABLE}@scratch",
            augmentation="none",
            method="finetune",
            protocol="quick",
            fingerprint="f" * 64,
            protocol_json='{"image_size":32,"split":{"repeats":1}}',
            scheme="holdout",
            folds=1,
            fold=0,
            seed=0,
            task=Classification(CLASSES),
            grouped=True,
            status="finished",
            splits=dict.fromkeys(("train", "val", "test"), names),
            history=[Epoch(1, 2, "head", 1e-3, 0.7, 0.6, -0.6, 1.5)],
            predictions={"val": predictions(), "test": predictions()},
            cost={"seconds_fit": 2.5, "parameters": 1e6},
        )
        write_copies(folder, record, seeds)


def measured(program: str, arguments: Sequence[str], results: Path) -> tuple[float, float]:
    """Run a command in a process of its own; return its seconds of processor time, its peak in MB.

    Raises:
        RuntimeError: The command failed.
    """
    with tempfile.TemporaryDirectory() as name:
        told = Path(name) / "told.json"
        words = [str(results) if word == "RESULTS" else word for word in arguments]
        command = [sys.executable, "-c", program, str(told), *words]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if not told.exists():
            raise RuntimeError(f"{' '.join(words)}: {ended.stderr}")
        seconds, peak = json.loads(told.read_text(encoding="utf-8"))
    return seconds, peak


def compared(what: str, full: ResultsFolder, few: ResultsFolder, count: int) -> dict[str, object]:
    """Return the row of a command.

    Args:
        what: The command.
        full: The folder with many trials.
        few: The folder with ten.
        count: How many more there are in the first.
    """
    row: dict[str, object] = {"command": what}
    known = {folder: _taken_away(folder) for folder in (full, few)}
    for index in ("without", "with"):
        if index == "with":
            for folder, content in known.items():
                if content and not (folder.path / INDEX).exists():  # the command makes none
                    (folder.path / INDEX).write_bytes(content)
        start, _ = measured(*COMMANDS[what], few.path)
        seconds, peak = measured(*COMMANDS[what], full.path)
        row[f"s, {index}"] = f"{seconds:.2f}"
        row[f"ms per trial, {index}"] = f"{1e3 * (seconds - start) / count:.3f}"
        row[f"peak MB, {index}"] = round(peak)
    return row


def _taken_away(folder: ResultsFolder) -> bytes:
    index = folder.path / INDEX
    content = index.read_bytes() if index.exists() else b""
    index.unlink(missing_ok=True)
    return content


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--trials", type=positive, default=20_000, metavar="N", help="default: 20000")
    add("--rows", type=positive, default=ROWS, metavar="N", help=f"default: {ROWS}")
    add("--only", action="append", choices=COMMANDS, metavar="COMMAND", help="a row; repeat")
    add("--json", type=Path, metavar="FILE", help="write the rows here")
    options = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        full, few = ResultsFolder(Path(name) / "full"), ResultsFolder(Path(name) / "few")
        progress(f"writing {options.trials} trials")
        write_trials(few, ROWS)
        write_trials(full, ROWS + options.trials, options.rows)
        for what in options.only or COMMANDS:
            rows.append(compared(what, full, few, options.trials))
            progress("  " + ", ".join(f"{key}: {value}" for key, value in rows[-1].items()))
            if options.json is not None:
                options.json.write_text(json.dumps(rows, indent=2), encoding="utf-8")
    day = datetime.now(timezone.utc).date().isoformat()
    of = f"{options.trials} trials in {options.rows} rows"
    print(f"{of}, {processor()}, {os.cpu_count()} cores, {day}\n")
    print(tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
