"""A process and all that it has started, ended at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from mritk.machine import process_tree

# Starts one that clears up when it is gone, and one that goes on; tells the number of the latter.
PARENT = """
import subprocess, sys, time

clearing = "import sys, time; sys.stdin.read(); time.sleep(0.5); open(sys.argv[1], 'w').close()"
subprocess.Popen([sys.executable, "-c", clearing, sys.argv[1]], stdin=subprocess.PIPE)
print(subprocess.Popen(["sleep", "600"]).pid, flush=True)
time.sleep(600)
"""


def test_a_process_of_another_user_does_not_keep_the_others_alive(monkeypatch):
    told = []

    def kill(process, what):
        if process == 8:
            raise PermissionError
        told.append((process, what))

    monkeypatch.setattr(process_tree, "descendants", lambda process: [8, 9, os.getpid()])
    monkeypatch.setattr(os, "kill", kill)
    process_tree.end_tree(7)
    assert told == [(7, signal.SIGSTOP), (9, signal.SIGKILL), (7, signal.SIGKILL)]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_what_clears_up_behind_a_process_has_time_for_it(tmp_path):
    cleared = tmp_path / "cleared"
    command = [sys.executable, "-c", PARENT, str(cleared)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        deaf = int(parent.stdout.readline())
        process_tree.end_and_clear(parent.pid, 3.0)
        assert parent.wait(5) == -signal.SIGKILL
    assert cleared.exists()
    look = ["ps", "-o", "stat=", "-p", str(deaf)]
    state = subprocess.run(look, stdout=subprocess.PIPE, text=True, check=False).stdout
    assert not state or state.startswith("Z")
