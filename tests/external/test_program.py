"""Programs run to their end, are followed by their log, and leave no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mritk.external import Patience, ProgramFailed, find_environment, lines_of, run_program
from mritk.machine.process_tree import descendants

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX programs")

HERE = find_environment("here")


@pytest.fixture
def run(tmp_path):
    """Run a program given as text, in its folder."""

    def call(text, *arguments, **options):
        (tmp_path / "own.py").write_text(text)
        words = ["python", str(tmp_path / "own.py"), *arguments]
        launch = HERE.launch(words, (), options.pop("variables", {}))
        run_program(launch, "own", tmp_path, tmp_path / "log.txt", **options)
        return (tmp_path / "log.txt").read_text()

    return call


def alive(word):
    """Return the processes whose command line has a word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if word in path.read_bytes().decode(errors="replace"):
                found.append(int(path.parent.name))
    return found


def wait_for(count, word):
    """Wait until so many processes have a word; one that changes its program has none meanwhile."""
    until = time.monotonic() + 60
    while len(found := alive(word)) < count:
        assert time.monotonic() < until, found
        time.sleep(0.02)


@pytest.mark.slow
def test_what_it_says_goes_into_the_log_and_line_by_line_to_whoever_follows(run, tmp_path):
    told = []
    text = "import sys; print('one'); print('two', file=sys.stderr); print('three', end='')"
    assert set(run(text, on_line=told.append).split()) == {"one", "two", "three"}
    assert set(told) == {"one", "two", "three"}  # the last without an end of line
    run("print('later')", on_line=told.append)
    assert told[-1] == "later"  # and nothing that an earlier attempt said
    assert list(lines_of(tmp_path / "log.txt"))[-1].endswith("later")
    assert list(lines_of(tmp_path / "none")) == []


def test_a_crash_is_one_line_with_the_end_of_its_log(run, tmp_path):
    with pytest.raises(ProgramFailed) as failed:
        run("print('epoch 7')\nraise MemoryError('no room for patches')")
    text = str(failed.value)
    assert text.startswith("own ended with exit code 1 after ")
    assert "MemoryError: no room for patches" in text
    assert text.endswith(f"; its log: {tmp_path / 'log.txt'}")
    assert "\n" not in text


@pytest.mark.slow
def test_a_signal_is_told_as_shells_do(run):
    with pytest.raises(ProgramFailed, match="ended with exit code 137 after"):
        run("import os; os.kill(os.getpid(), 9)")


@pytest.mark.slow
def test_what_hangs_is_ended_after_its_time_or_without_a_sign_of_life(run):
    hang = "import time; print('began', flush=True); time.sleep(60)"
    with pytest.raises(ProgramFailed, match=r"took longer than 0.4 s and was ended: began;"):
        run(hang, patience=Patience(seconds=0.4))
    with pytest.raises(ProgramFailed, match=r"no sign of life for 0.4 s and was ended: began;"):
        run(hang, patience=Patience(silent_seconds=0.4))


@pytest.mark.slow
def test_a_touch_of_the_heartbeat_is_a_sign_of_life(run):
    silent = (
        "import os, pathlib, time\n"
        "for _ in range(8):\n"
        "    pathlib.Path(os.environ['MRITK_HEARTBEAT']).touch()\n"
        "    time.sleep(0.2)\n"
    )
    run(silent, patience=Patience(silent_seconds=1.0))


FLOOD = """
import sys
print("begin")
for number in range(40):
    sys.stdout.write((WRITTEN) * 5000)
print("end")
sys.exit(3)
"""


@pytest.mark.slow
@pytest.mark.parametrize("written", ["'x' * 49 + '\\n'", "'.' * 50"], ids=["lines", "no line"])
def test_whoever_follows_is_given_a_flood_and_errors_a_few_lines_of_it(run, tmp_path, written):
    count, longest = 0, 0

    def follow(line):
        nonlocal count, longest
        count, longest = count + 1, max(longest, len(line))

    with pytest.raises(ProgramFailed, match=r"exit code 3 after .*end; its log") as failed:
        run(FLOOD.replace("WRITTEN", written), on_line=follow)
    assert len(str(failed.value)) < 1000
    endless = "\\n" not in written
    assert count == (2 if endless else 200_002)
    assert longest < 200_000


@pytest.mark.slow
def test_a_flood_is_left_out_of_the_log_by_one_line(run, tmp_path):
    with pytest.raises(ProgramFailed):
        run(FLOOD.replace("range(40)", "range(100)").replace("WRITTEN", "'x' * 49 + '\\n'"))
    text = (tmp_path / "log.txt").read_bytes()
    assert len(text) < 13 << 20
    assert text.startswith(b"begin\nxxx")
    assert text.endswith(b"xxx\nend\n")
    (message,) = (line for line in text.split(b"\n") if line.startswith(b"["))
    left_out = int(message.split()[3])
    assert left_out + len(text) - len(message) - 2 == 100 * 5000 * 50 + len("begin\nend\n")


FAMILY = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "MARK"])
# Its own session, its parent gone: what a shell calls a daemon.
subprocess.run(["sh", "-c", "setsid sh -c 'sleep 61; : MARK' & exit"])
print("ready", flush=True)
if len(sys.argv) > 1:
    time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="orphans are found on Linux only")
@pytest.mark.parametrize("hangs", [False, True])
def test_nothing_that_it_started_outlives_it(run, hangs):
    mark = f"family-{os.getpid()}-{hangs}"
    text = FAMILY.replace("MARK", mark)
    if hangs:
        with pytest.raises(ProgramFailed):
            run(text, "hang", patience=Patience(seconds=1.0))
    else:
        run(text)
    assert alive(mark) == []


@pytest.mark.slow
def test_an_exception_of_whoever_follows_ends_it(run):
    def stop(line):
        raise KeyboardInterrupt

    mark = f"followed-{os.getpid()}"
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run("import time; print('x', flush=True); time.sleep(60)", mark, on_line=stop)
    assert time.monotonic() - began < 30
    assert alive(mark) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="watchers watch each other on Linux only")
@pytest.mark.parametrize("which", [0, 1], ids=["the first", "the second"])
def test_a_kill_of_a_process_that_watches_ends_the_program_and_all_that_it_started(run, which):
    mark = f"watched-{os.getpid()}-{which}"

    def kill(line):
        wait_for(2, mark)
        watchers = sorted(set(alive("mritk.external.watcher")) & set(descendants(os.getpid())))
        assert len(watchers) == 2
        os.kill(watchers[which], signal.SIGKILL)

    with pytest.raises(ProgramFailed, match=r"ended with exit code 137 after .*: ready; its log"):
        run(FAMILY.replace("MARK", mark), "hang", on_line=kill)
    assert alive(mark) == []
    assert not set(alive("mritk.external.watcher")) & set(descendants(os.getpid()))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends children on Linux only")
def test_the_program_itself_ends_even_if_both_that_watch_are_killed(run):
    mark = f"alone-{os.getpid()}"

    def kill(line):
        assert alive(mark)
        for one in set(alive("mritk.external.watcher")) & set(descendants(os.getpid())):
            os.kill(one, signal.SIGKILL)

    with pytest.raises(ProgramFailed, match="ended with exit code 137"):
        run("import time; print('x', flush=True); time.sleep(60)", mark, on_line=kill)
    until = time.monotonic() + 20
    while found := alive(mark):
        assert time.monotonic() < until, found
        time.sleep(0.02)


RUNNER = """
import sys
from pathlib import Path
from mritk.external import find_environment, run_program

folder = Path(sys.argv[1])
launch = find_environment("here").launch(["python", str(folder / "own.py"), "hang"], (), {})
run_program(launch, "own", folder, folder / "log.txt")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="orphans are found on Linux only")
def test_a_kill_of_mritk_itself_ends_the_program_and_all_that_it_started(tmp_path):
    mark = f"killed-{os.getpid()}"
    (tmp_path / "own.py").write_text(FAMILY.replace("MARK", mark))
    with subprocess.Popen([sys.executable, "-c", RUNNER, str(tmp_path)]) as runner:
        log = tmp_path / "log.txt"
        until = time.monotonic() + 60
        while not (log.exists() and "ready" in log.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        wait_for(2, mark)
        runner.send_signal(signal.SIGKILL)
    while alive(mark) and time.monotonic() < until:
        time.sleep(0.05)
    assert alive(mark) == []


def test_it_is_given_no_variable_of_mritks_environment(run, monkeypatch):
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "MRITK_HOME", "DATA"):
        monkeypatch.setenv(name, "/somewhere")
    text = run("import os; print(*sorted(os.environ))", variables={"OWN": "1"})
    names = text.split()
    assert {"PATH", "OWN", "MRITK_HEARTBEAT", "CUDA_VISIBLE_DEVICES"} <= set(names)
    assert not {"PYTHONPATH", "VIRTUAL_ENV", "MRITK_HOME", "DATA"} & set(names)
