"""A disk that is full while a plugin writes: one line that names the disk, and blames nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Whatever is written there meets a full disk.
FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="/dev/full is Linux's")

WRITING = """
from dataclasses import dataclass
from pathlib import Path
from mritk import Dataset, DatasetFamily, Method, ProtocolFile, hookimpl


def write(*given):
    Path("/dev/full").write_text("x")


@dataclass(frozen=True)
class Parameters:
    pass


@hookimpl
def mritk_datasets():
    yield Dataset("writes", write)
    yield Dataset("generates", write, is_generated=write)
    yield DatasetFamily("writing", write)


@hookimpl
def mritk_methods():
    yield Method("writes", write, Parameters)


@hookimpl
def mritk_protocols():
    yield ProtocolFile("writes", lambda: 'method = "writes"')
"""
WHY = f"{os.strerror(28)}; free some space"


@pytest.fixture
def writing(tmp_path):
    path = tmp_path / "writing.py"
    path.write_text(WRITING)
    return path


@pytest.mark.parametrize("command", [("run", "-b", "small_cnn", "-d"), ("fetch", "-d"), ("audit",)])
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("writes", "dataset writes"),
        ("generates", "dataset generates"),
        ("writing:x", "writing:x"),
    ],
)
def test_a_dataset_that_is_made(mritk, writing, own_home, command, name, what):
    ended = mritk(*command, name, "-p", writing)
    assert ended.code == 2
    told = next(line for line in ended.err.splitlines() if "cannot" in line)
    other = f"set MRITK_HOME (it is {own_home}) to another folder"
    assert told.endswith(f": cannot write {what}: {WHY}, or {other}")


def test_a_method_amid_a_trial(mritk, toy, writing, tmp_path):
    base = ("run", "-p", toy, "-p", writing, "-b", "tiny", "-d", "bands", "--seeds", 1)
    ended = mritk(*base, "--protocol", "writes", "-o", tmp_path / "results")
    assert ended.code == 3, "a trial failed"
    told = next(line for line in ended.err.splitlines() if line.startswith("failed: "))
    assert "cannot write a file of method writes of writing.py" in told
    assert told.endswith(f": {WHY}; the traceback is in the trial file")


@pytest.mark.slow
def test_a_moment_of_a_run(run_toy, tmp_path, caplog):
    text = "from pathlib import Path\nfrom mritk import hookimpl\n@hookimpl\n"
    text += "def mritk_run_start(plan):\n    Path('/dev/full').write_text('x')\n"
    (tmp_path / "diary.py").write_text(text)
    assert run_toy("--seeds", 1, "-p", tmp_path / "diary.py").code == 0
    [warning] = [r for r in caplog.records if "is disabled" in r.getMessage()]
    assert warning.getMessage().endswith(f"cannot write a file in mritk_run_start: {WHY}")
    assert not warning.exc_info


@pytest.mark.parametrize("place", ["", "@hookimpl\ndef mritk_datasets():\n    "])
def test_a_plugin_that_is_loaded(mritk, tmp_path, place):
    text = f"from pathlib import Path\nfrom mritk import hookimpl\n{place}"
    (tmp_path / "early.py").write_text(f"{text}Path('/dev/full').write_text('x')\n")
    ended = mritk("list", "datasets", "-p", tmp_path / "early.py")
    assert ended.code == 4
    assert f"failed to load: cannot write a file: {WHY} (" in ended.err
