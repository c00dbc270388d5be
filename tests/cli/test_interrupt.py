"""Ctrl-C is never lost: not in an import whose library drops every exception."""

from __future__ import annotations

import inspect
import signal
import sys
import time
from importlib import import_module

import pytest

from mritk.cli.interrupt import Interrupt

SWALLOWING = """
import os, signal, time
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep({seconds})
except BaseException:
    pass
"""
TWICE = """
import os, signal
for _ in range(2):
    os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.fixture(autouse=True)
def installed():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    Interrupt.install()
    yield
    Interrupt.uninstall()
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def module(tmp_path, monkeypatch, request):
    monkeypatch.syspath_prepend(tmp_path)

    def write(text):
        name = f"optional_{abs(hash(request.node.name))}"
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


def test_outside_imports_it_comes_at_once():
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_library_that_drops_exceptions_while_it_is_imported_delays_it(module):
    name, arrived = module(SWALLOWING.format(seconds=0.01)), False
    with pytest.raises(KeyboardInterrupt):
        import_module(name)
        arrived = True
        time.sleep(10)
    assert arrived, "the import went on to its end"


def test_a_second_one_does_not_wait_for_the_import(module):
    with pytest.raises(KeyboardInterrupt):
        import_module(module(TWICE))


def test_an_import_that_hangs_is_interrupted(module, monkeypatch):
    monkeypatch.setattr(Interrupt, "PATIENCE", 0.05)
    began = time.monotonic()
    hanging = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(30)\n"
    with pytest.raises(KeyboardInterrupt):
        import_module(module(hanging))
    assert time.monotonic() - began < 30


def test_one_that_was_dropped_comes_again(capfd):
    """What is raised in a destructor or in a callback of a compiled module is dropped."""

    class Dropping:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    arrived = False
    with pytest.raises(KeyboardInterrupt):
        Dropping()
        arrived = True
        time.sleep(10)
    assert arrived
    assert Interrupt.was_raised()
    assert capfd.readouterr().err == ""


def test_other_dropped_errors_are_told_as_ever():
    class Failing:
        def __del__(self):
            raise ValueError("a message")

    told = []
    Interrupt.uninstall()
    before, sys.unraisablehook = sys.unraisablehook, told.append
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        Interrupt.install()
        Failing()
        Interrupt.uninstall()
        assert sys.unraisablehook == told.append
    finally:
        sys.unraisablehook = before
    assert [one.exc_type for one in told] == [ValueError]


def test_it_comes_once(module):
    """What follows the first one must not be interrupted by the wait for it."""
    with pytest.raises(KeyboardInterrupt):
        import_module(module(TWICE))
    time.sleep(0.1)


def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Interrupt.install()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    Interrupt.uninstall()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_at_the_end_the_system_takes_over():
    Interrupt.uninstall()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL


def test_the_lock_of_all_imports_is_never_left_taken():
    """CPython takes it a moment before it begins to care for exceptions."""
    system, calls = Interrupt(), []

    def bookkeeping(name):
        code = compile(f"def {name}(call): call()", "<frozen importlib._bootstrap>", "exec")
        scope: dict = {}
        exec(code, scope)
        return scope[name]

    def interrupted():
        calls.append(1)
        system.handle(signal.SIGINT, inspect.currentframe().f_back)

    bookkeeping("_get_module_lock")(interrupted)
    bookkeeping("_get_module_lock")(interrupted)
    assert len(calls) == 2, "not even a second one comes there"
    with pytest.raises(KeyboardInterrupt):  # where it waits for another thread it holds nothing
        bookkeeping("acquire")(interrupted)
