"""On stdout stand results, whatever plugins print; the next program can read them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from mritk.cli.main import main

LOUD = '''
import ctypes
import os
import subprocess
import sys

print("said on import")
print("said on import past the program", file=sys.__stdout__)
if os.name == "posix":
    ctypes.CDLL(None).printf(b"said on import by printf\\n")
os.write(1, b"said on import by a library in C\\n")


def loud_tiny():
    print("said by build")
    return build_tiny()


def open_loud(workspace):
    from dataclasses import replace

    print("said on opening")
    subprocess.run(["echo", "said on opening by a process"], check=True)
    samples = open_bands(workspace)

    def read(i):
        print("said on reading")
        return samples.read(i)

    return replace(samples, read=read)


@hookimpl(specname="mritk_backbones")
def loud_backbones():
    half = (0.5, 0.5, 0.5)
    yield Architecture("loud_net", loud_tiny, InputContract(32, half, half), summary="prints")


@hookimpl(specname="mritk_datasets")
def loud_datasets():
    print("said by the hook")
    yield Dataset("loud_bands", open_loud, summary="prints")


@hookimpl
def mritk_epoch_end(epoch):
    print("said at the end of an epoch")


@hookimpl
def mritk_commands(cli):
    @cli.command()
    def greet():
        """Print a greeting."""
        print("hello", flush=True)
        subprocess.run(["echo", "hello from a process"], check=True)
'''


@pytest.fixture
def loud(toy):
    """A one-file plugin that prints wherever it is called."""
    toy.write_text(toy.read_text() + LOUD)
    return toy


@pytest.mark.parametrize(
    "words",
    [
        ("show", "loud_bands"),
        ("show", "loud_net"),
        ("list", "backbones"),
        ("plugins",),
        ("plugins", "check", "loud_bands"),
        ("audit", "loud_bands"),
        ("fetch", "-d", "loud_bands"),
    ],
)
def test_a_command_prints_json_alone(mritk, loud, words):
    ended = mritk(*words, "-p", loud, "--json")
    assert json.loads(ended.out)
    assert "said by the hook" in ended.err
    assert "said" not in ended.out


@pytest.mark.slow
def test_a_run_prints_its_table_alone(mritk, loud, fast_protocol, tmp_path):
    words = ["run", "-p", loud, "-b", "loud_net", "-d", "loud_bands", "--seeds", 1]
    words += ["--protocol", fast_protocol, "-o", tmp_path / "results", "--device", "cpu"]
    first = mritk(*words, "--json")
    assert json.loads(first.out)
    said = ["on import", "by build", "on opening", "on reading", "at the end of an epoch"]
    assert [what for what in said if f"said {what}" not in first.err] == []
    assert "said" not in first.out
    assert mritk(*words).out.startswith("loud_bands (")


def test_a_command_of_a_plugin_prints_where_it_likes_and_its_import_does_not(mritk, loud):
    ended = mritk("-p", loud, "greet")
    assert ended.out == "hello\n"
    assert "said on import" in ended.err


class Collected:
    """Takes what is printed, as logs and notebooks do, and is no file."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_results_go_to_whatever_stands_for_stdout(loud, monkeypatch):
    stdout = Collected()
    monkeypatch.setattr(sys, "stdout", stdout)
    assert main(["show", "loud_bands", "-p", str(loud), "--json"]) == 0
    assert json.loads(stdout.text)["dataset"]["contents"]["samples"] == 90


@pytest.mark.parametrize("words", [("show",), ("plugins", "check"), ("greet",)])
def test_help_goes_to_stdout(mritk, loud, words):
    ended = mritk("-p", loud, *words, "--help")
    assert ended.out.startswith(f"Usage: mritk {' '.join(words)} [OPTIONS]")


def in_a_pipe(*words):
    """Run the program; return what the next one of a pipe reads, and what the person does."""
    command = [sys.executable, "-m", "mritk", *map(str, words)]
    # As a pipe is by default: Python and C hold back what is printed.
    held = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=True, env=held
    )
    return ended.stdout, ended.stderr


@pytest.mark.slow
def test_the_next_program_of_a_pipe_reads_json(loud):
    read, told = in_a_pipe("show", "loud_bands", "-p", loud, "--json")
    assert json.loads(read)["dataset"]["contents"]["samples"] == 90
    assert "said on import\n" in told
    assert "said on import by a library in C\n" in told
    assert "said on import by printf\n" in told
    assert "said on import past the program\n" in told
    assert "said on opening by a process\n" in told


@pytest.mark.slow
def test_processes_of_a_plugins_command_print_where_it_does(loud):
    read, told = in_a_pipe("-p", loud, "greet")
    assert read == "hello\nhello from a process\n"
    assert "said on import by a library in C\n" in told
