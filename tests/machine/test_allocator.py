"""Memory stays with the process while it trains, and goes back when it is told to."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# In a process of its own: the settings of an allocator hold for a whole process.
MEASURE = """
import json, os
import torch
from mritk.machine.allocator import keep_large_blocks, return_free_blocks

MEBIBYTE = 1 << 20


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MEBIBYTE


listened, start = keep_large_blocks(), resident()
blocks = [torch.ones(16 * MEBIBYTE) for _ in range(8)]
last = torch.ones(1000)
used = resident() - start
del blocks
kept = resident() - start
returned = return_free_blocks()
print(json.dumps([listened, returned, used, kept, resident() - start]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="settings of glibc")
def test_free_memory_is_kept_until_it_is_returned():
    ended = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    listened, returned, used, kept, left = json.loads(ended.stdout)
    if not listened:
        pytest.skip("another C library than glibc")
    assert returned
    assert used >= 512
    assert kept > 0.9 * used
    assert left < 0.1 * used


def test_elsewhere_than_on_linux_nothing_happens(monkeypatch):
    from mritk.machine.allocator import keep_large_blocks, return_free_blocks

    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_large_blocks() is False
    assert return_free_blocks() is False
