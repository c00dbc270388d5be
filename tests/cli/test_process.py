"""The process: how it ends when it is refused, interrupted, or cannot write what it has to say."""

from __future__ import annotations

import os
import py_compile
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NAME = "men→ing…"

MRITK = [sys.executable, "-m", "mritk"]

# Refused after so many seconds, while the libraries of deep learning are being imported.
SLOW_REFUSAL = """
import os, time
from mritk import DataError, Dataset, hookimpl


def open_nothing(workspace):
    # As data are read, in many short calls: Python looks for signals between them.
    until = time.monotonic() + float(os.environ["REFUSE_AFTER"])
    while time.monotonic() < until:
        time.sleep(0.01)
    raise DataError("these data are of no use")


@hookimpl
def mritk_datasets():
    yield Dataset("nothing", open_nothing)
"""


@pytest.fixture
def slow_run(toy, tmp_path):
    """The command line of a run whose dataset takes a while and is then refused."""
    (tmp_path / "slow.py").write_text(SLOW_REFUSAL)
    plugins = ("-p", str(toy), "-p", str(tmp_path / "slow.py"))
    data = ("-d", "nothing", "-b", "tiny", "-o", str(tmp_path / "results"))
    return [*MRITK, "run", *plugins, *data]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 0.4, 1.2])
def test_a_refusal_ends_with_its_line_whatever_is_being_imported(slow_run, seconds):
    ended = subprocess.run(
        slow_run,
        env=os.environ | {"REFUSE_AFTER": str(seconds)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == "preparing data …\nmritk: these data are of no use\n"


def heed_ctrl_c():
    """Undo what a shell does to programs in its background: they ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 0.4, 1.2])
def test_ctrl_c_ends_with_one_word_whatever_is_being_imported(slow_run, seconds):
    with subprocess.Popen(
        slow_run,
        env=os.environ | {"REFUSE_AFTER": "60"},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - no thread runs here
    ) as run:
        assert run.stderr is not None
        assert run.stderr.readline() == "preparing data …\n"
        time.sleep(seconds)
        run.send_signal(signal.SIGINT)
        _, told = run.communicate(timeout=90)
    assert run.returncode == 130, told
    # A line that Python was writing when the signal came may stand there twice.
    assert told.replace("preparing data …\n", "").strip() == "mritk: interrupted"


# As pydantic's compiled part does while it builds a validator: it tells of a SchemaError.
CONVERTING = """
import os, signal, time
from mritk import Dataset, hookimpl


def open_nothing(workspace):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    except BaseException as error:
        raise ValueError(f"Error building a validator: {type(error).__name__}") from None


@hookimpl
def mritk_datasets():
    yield Dataset("nothing", open_nothing)
"""


@pytest.mark.slow
def test_ctrl_c_of_which_a_library_makes_another_error_is_an_interruption(slow_run, tmp_path):
    (tmp_path / "slow.py").write_text(CONVERTING)
    ended = subprocess.run(
        slow_run, preexec_fn=heed_ctrl_c, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 130, ended.stderr
    assert ended.stderr == "preparing data …\nmritk: interrupted\n"


def test_ctrl_c_at_the_very_beginning_leaves_no_traceback(tmp_path):
    starting = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'mritk.cli.main':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from mritk.__main__ import run\n"
        "run()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", starting, "list", "backbones"],
        preexec_fn=heed_ctrl_c,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "mritk: interrupted\n")


DAMAGED = """
import click
from mritk import hookimpl


@hookimpl
def mritk_commands(cli):
    @cli.command()
    def load():
        import cut_short

    @cli.command()
    def ask():
        click.prompt("How many")
"""


@pytest.fixture
def damaged(tmp_path):
    """The command line and environment of a command that imports a module cut short."""
    source = tmp_path / "cut_short.py"
    source.write_text("x = 1\n")
    compiled = Path(py_compile.compile(str(source), doraise=True))
    compiled.write_bytes(compiled.read_bytes()[:20])  # the header is whole
    (tmp_path / "damaged.py").write_text(DAMAGED)
    path = os.environ.get("PYTHONPATH")
    paths = [str(tmp_path), *([path] if path else [])]
    return [*MRITK, "-p", str(tmp_path / "damaged.py")], {"PYTHONPATH": os.pathsep.join(paths)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code", "last"),
    [("load", 3, "EOFError: marshal data too short"), ("ask", 130, "mritk: interrupted")],
)
def test_only_the_end_of_what_is_typed_is_an_interruption(damaged, command, code, last):
    program, environ = damaged
    done = subprocess.run(
        [*program, command],
        env=os.environ | environ,
        input="",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (code, [last])


# -- what the output may be ------------------------------------------------------------------------


@pytest.fixture
def listing():
    """A command that prints a dash, and ends with 0."""
    return ["list", "protocols"], 0


@pytest.fixture
def audit(tmp_path):
    """A command that finds one image under two labels, and ends with 1."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32), dtype=np.uint8))
    for label in ("glioma", NAME):
        (tmp_path / "images" / label).mkdir(parents=True)
        image.save(tmp_path / "images" / label / "same.png")
    return ["audit", f"folder:{tmp_path / 'images'}"], 1


@pytest.fixture(params=["listing", "audit"])
def command(request):
    """Each of the two commands, with the exit code that it owes."""
    return request.getfixturevalue(request.param)


def ended(arguments, **options):
    return subprocess.run(
        [*MRITK, *arguments], stderr=subprocess.PIPE, check=False, timeout=60, **options
    )


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "utf-8"])
def test_characters_that_an_encoding_lacks_are_written_out(audit, encoding):
    arguments, code = audit
    environ = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = ended(arguments, env=environ, stdout=subprocess.PIPE)
    assert done.returncode == code
    assert done.stderr == b""
    # click writes UTF-8 where a stream is said to take ASCII, which is a misconfigured system.
    text = done.stdout.decode("utf-8" if encoding == "ascii" else encoding)
    assert NAME in text or NAME.encode(encoding, "backslashreplace").decode(encoding) in text


@pytest.mark.slow
def test_a_reader_that_has_gone_changes_no_verdict(command):
    arguments, code = command
    read, write = os.pipe()
    os.close(read)
    try:
        done = ended(arguments, stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")  # noqa: PTH110
def test_output_that_is_lost_is_told_and_is_never_a_success(command):
    arguments, code = command
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = ended(arguments, stdout=full)
    assert done.returncode == (code or 3)
    told = (
        b"mritk: the output could not be written: No space left on device; redirect it elsewhere\n"
    )
    assert done.stderr == told


@pytest.mark.slow
def test_no_output_at_all_is_no_error(listing):
    arguments, code = listing
    closed = f"exec {' '.join([*MRITK, *arguments])} >&-"
    done = subprocess.run(["sh", "-c", closed], stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.slow
def test_a_verdict_stands_where_there_is_neither_output_nor_error_output(audit):
    arguments, code = audit
    closed = f"exec {' '.join([*MRITK, *arguments])} >&- 2>&-"
    assert subprocess.run(["sh", "-c", closed], check=False).returncode == code


@pytest.mark.slow
def test_python_finds_nothing_left_open_at_the_end():
    ended = subprocess.run(
        [*MRITK, "--version"],
        env=os.environ | {"PYTHONWARNINGS": "error::ResourceWarning"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "mritk" in ended.stdout
    assert ended.stderr == ""
