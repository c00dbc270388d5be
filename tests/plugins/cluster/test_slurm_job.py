"""The job script on a real SLURM of one node: noticed, returned to the queue, ended."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from mritk.store.folder import ResultsFolder
from tests.plugins.cluster.one_node_slurm import NoSlurm, missing, one_node_slurm

PLUGIN = """
import time
from benchmarks.speed import no_training
from benchmarks.speed.no_training import *


@hookimpl
def mritk_methods():
    def fit(setup):
        time.sleep(4)
        return no_training.fit(setup)

    yield Method("nothing", fit, Parameters, uses_backbone=False, uses_augmentation=False)
"""
ROOT = Path(__file__).parents[3]
TRIALS = 4


@pytest.fixture
def ray_folder():
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def slurm(tmp_path, ray_folder):
    """Call a command of SLURM."""
    pytest.importorskip("ray", reason="needs the extra 'ray'")
    if why := missing():
        pytest.skip(why)
    try:
        with one_node_slurm(tmp_path / "slurm") as environment:
            environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
            # Names of sockets are short, those of pytest's folders are not.
            environment["RAY_TMPDIR"] = str(ray_folder)
            environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"

            def call(*command):
                ended = subprocess.run(
                    command,
                    env=environment,
                    cwd=tmp_path,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert ended.returncode == 0, ended.stderr
                return ended.stdout.strip()

            yield call
    except NoSlurm as error:
        pytest.skip(str(error))


def until(condition, log, seconds=240):
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, log.read_text() if log.exists() else "no log"
        time.sleep(0.5)


@pytest.mark.slow
def test_a_job_that_gets_notice_returns_to_the_queue_and_trains_what_is_left(
    slurm, mritk, tmp_path
):
    (tmp_path / "slow.py").write_text(PLUGIN)
    command = ["mritk", "run", "-p", "slow.py", "-d", "dots", "--protocol", "nothing"]
    command += ["--seeds", TRIALS, "--jobs", 1, "--results", "results"]
    (tmp_path / "job.sh").write_text(mritk("cluster", "slurm", "--", *command).out)
    job = slurm("sbatch", "--parsable", "job.sh")
    log, results = tmp_path / f"mritk-{job}.log", ResultsFolder(tmp_path / "results")

    def stored():
        return len(results.trial_files()) if results.path.is_dir() else 0

    def state():
        return slurm("squeue", "--noheader", "--format=%T", "--states=all", f"--jobs={job}")

    until(lambda: stored() or state() == "FAILED", log)
    slurm("scancel", "--batch", "--signal=TERM", job)
    until(lambda: state() == "PENDING", log)
    before = {path: path.stat().st_mtime_ns for path in results.trial_files()}
    assert 1 <= len(before) < TRIALS
    slurm("scontrol", "update", f"JobId={job}", "StartTime=now")
    until(lambda: state() in ("COMPLETED", "FAILED"), log)
    assert state() == "COMPLETED", log.read_text()
    assert stored() == TRIALS
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())
    assert log.read_text().count("Head node started.") == 2, "the log of both is kept"
