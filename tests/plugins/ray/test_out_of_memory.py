"""Ray ends a worker that takes the memory of its machine; other jobs go on.

Only with ``MRITK_TEST_OUT_OF_MEMORY=1``: it takes 2 GB, and what else runs on the machine must not.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# In a process of its own: the limit is read when Ray starts.
PROGRAM = """
import os, time
import numpy as np

facts = dict(line.split(":") for line in open("/proc/meminfo"))
total, free = (int(facts[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
os.environ["RAY_memory_monitor_refresh_ms"] = "100"
os.environ["RAY_memory_usage_threshold"] = str(1 - (free - 2e6) / total)

from mritk_ray.pool import run


def take(gigabytes):
    held = [np.ones(1 << 24) for _ in range(8 * gigabytes) if not time.sleep(0.1)]
    return len(held)


for told in run(take, [0, 4], 1):
    if told is not None:
        print(told)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif("MRITK_TEST_OUT_OF_MEMORY" not in os.environ, reason="takes 2 GB, alone")
def test_a_job_that_takes_all_memory_is_lost_and_no_other(tmp_path):
    pytest.importorskip("ray", reason="needs the extra 'ray'")
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "program.py"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    done, *retried, lost = ended.stdout.splitlines()
    assert [f"attempts={number}, retried=True" in retried[number - 1] for number in (1, 2)] == [
        1,
        1,
    ]
    assert done == "0"
    assert lost.startswith("LostJob(job=4, ")
    assert "low on memory" in lost and "attempts=3" in lost
