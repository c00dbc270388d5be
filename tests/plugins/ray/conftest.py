"""Ray on this machine, begun once for the tests of a file."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(scope="module", autouse=True)
def ended_at_last():
    """Ray goes on from test to test, because its start takes seconds.

    It must not kill workers because other tests have filled the machine's memory.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")
        yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


@pytest.fixture
def ray():
    """Ray on this machine."""
    module = pytest.importorskip("ray", reason="needs the extra 'ray'")
    if not module.is_initialized():
        module.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    return module
