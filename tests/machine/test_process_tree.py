"""A process and all that it has started, ended at once."""

from __future__ import annotations

import os
import signal

from mritk.machine import process_tree


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
