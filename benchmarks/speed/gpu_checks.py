"""The tests of CUDA paths as a part of the benchmark."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from benchmarks.speed.ledger import PATIENCE, Ledger, at_most

CHECKS = Path(__file__).parents[2] / "tests" / "gpu"
# What a check should take on an H200; compiling takes longer.
CHECK_SECONDS, COMPILE_SECONDS = 20, 60


class Checks:
    """A plugin of pytest: bounds the time of each test, and writes down what became of it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._reports: list[pytest.TestReport] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """End a test that takes too long, and leave out what there is no time for."""
        seconds = COMPILE_SECONDS if item.get_closest_marker("slow") else CHECK_SECONDS
        if self._ledger.left < seconds:
            pytest.skip(f"it takes {seconds} s, and {self._ledger.left:.0f} s are left")
        with at_most(min(self._ledger.left, PATIENCE * seconds)):
            return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write down a test when it is over."""
        self._reports.append(report)
        if report.when != "teardown":
            return
        reports, self._reports = self._reports, []
        name = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        measured = "; ".join(str(text) for _, text in report.user_properties)
        for one in reports:
            if one.skipped:
                self._ledger.note("left out", "checks", name, _reason(one))
                return
            if one.failed:
                measured = _last_line(one)
        row = {"measured": measured, "ok": not any(one.failed for one in reports)}
        self._ledger.add("checks", name, row)


def _reason(report: pytest.TestReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)


def _last_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash.message.splitlines()[0] if crash else str(report.longrepr).splitlines()[-1]


def run_checks(ledger: Ledger, tests: Path = CHECKS) -> None:
    """Run the tests of CUDA paths."""
    quiet = ["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", "--show-capture=no"]
    code = pytest.main(["-m", "gpu", *quiet, str(tests)], plugins=[Checks(ledger)])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        ledger.note("broken", "checks", tests.name, f"pytest ended with {code!r}")
