"""Write trials until killed, many times over; or write some beside others who write.

    killable_writer.py kills FOLDER COUNT     prints what was lost, as JSON
    killable_writer.py writes FOLDER FIRST    writes 40 trials from this number on

Each writer that is killed is a child of its own, forked from a process that has everything
imported, so that it writes within milliseconds and can be killed at any moment of its work.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from mritk import Classification
from mritk.store.doctor import diagnose
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import Predictions, TrialRecord, read_trial


def record_of(name: str, seed: int) -> TrialRecord:
    """A finished trial of 200 test samples."""
    count = 200
    test = Predictions(
        id=[f"s{i}" for i in range(count)],
        patient=[f"p{i // 4}" for i in range(count)],
        site=[""] * count,
        source=[""] * count,
        target=np.arange(count) % 4,
        score=np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32),
    )
    columns = ("dataset", "dataset_fingerprint", "backbone", "augmentation", "method", "protocol")
    return TrialRecord(
        **dict.fromkeys(columns, "x"),
        id=name,
        fingerprint="44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        protocol_json="{}",
        scheme="holdout",
        folds=1,
        fold=0,
        seed=seed,
        task=Classification(("a", "b", "c", "d")),
        grouped=True,
        status="finished",
        splits={"train": ["t"], "val": ["v"], "test": test.id},
        predictions={"test": test},
    )


def write_on(folder: ResultsFolder, said: int, first: int) -> None:
    """Write trials one after the other, and say of each that it is there."""
    for number in range(first, first + 10_000):
        folder.write(record_of(f"trial{number:06d}", number))
        os.write(said, f"trial{number:06d}\n".encode())
        folder.rebuild_view()


def seconds_of_a_write(path: Path) -> float:
    """How long a trial and a view take now, the longest of three."""
    folder, seconds = ResultsFolder(path), []
    folder.require_writable()
    for number in range(3):
        started = time.monotonic()
        folder.write(record_of(f"trial{number:06d}", number))
        folder.rebuild_view()
        seconds.append(time.monotonic() - started)
    return max(seconds)


def kill_writers(path: Path, kills: int) -> None:
    """Kill ``kills`` writers at random moments, and count what they had said to be there."""
    folder, draw = ResultsFolder(path), random.Random(0)
    folder.require_writable()
    one = 0.0
    said = os.open(path / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for kill in range(kills):
        writer = os.fork()
        if writer == 0:
            write_on(folder, said, 10_000 * kill)
        if kill % 40 == 0:  # the machine may be busy, and is not so all the time
            one = seconds_of_a_write(path / "measured")
        time.sleep(draw.uniform(0.0, 3 * one))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        if kill % 40 == 39:  # a long list of trials would make the view slow
            for old in sorted((path / "trials").glob("*.h5"))[:-30]:
                expected = record_of(old.stem, int(old.stem[5:])).predictions["test"].score
                stored = read_trial(old).predictions["test"].score
                assert np.array_equal(stored, expected)
                old.rename(path / old.name)
    acknowledged = (path / "said.txt").read_text().split()
    there = {p.stem for p in [*path.glob("trial*.h5"), *(path / "trials").glob("*.h5")]}
    found = [str(ailment) for ailment in diagnose(folder).ailments if ailment.state.serious]
    lost = [name for name in acknowledged if name not in there]
    told = {"acknowledged": len(acknowledged), "lost": lost, "serious": found}
    sys.stdout.write(json.dumps(told))


def write_some(path: Path, first: int) -> None:
    """Write 40 trials and renew the view after each."""
    folder = ResultsFolder(path)
    for number in range(first, first + 40):
        folder.write(record_of(f"trial{number:06d}", number))
        folder.rebuild_view()


if __name__ == "__main__":
    work = {"kills": kill_writers, "writes": write_some}[sys.argv[1]]
    work(Path(sys.argv[2]), int(sys.argv[3]))
