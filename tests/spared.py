"""What thousands of tests in one process need not do again: it took a third of their time."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import sys
from functools import lru_cache
from pathlib import Path

import pytest

from mritk.machine.cores import available_cores
from mritk.plugins import discovery


def pytest_configure() -> None:
    """Files need not survive that the power fails; distributions are looked up when they change."""
    os.fsync = lambda descriptor: None
    discovery.entry_points = lambda *, group: _entry_points(group, _state_of_path())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than cores: a sixth of the time, tests wait for processes of their own."""
    return available_cores() + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Several processes train with one thread each."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Each process takes a run of neighbours, so that a fixture of a file is made in one."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.option.dist == "load" else None


@lru_cache(maxsize=4)
def _entry_points(group: str, state: object) -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points(group=group)


def _state_of_path() -> tuple[tuple[str, int], ...]:
    folders = [Path(folder) for folder in sys.path]
    return tuple((str(f), f.stat().st_mtime_ns if f.exists() else 0) for f in folders)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Let torch's loggers propagate, or pytest attaches to each of dozens, six times a test."""
    for name, logger in logging.getLogger().manager.loggerDict.items():
        if name.startswith("torch") and isinstance(logger, logging.Logger):
            logger.propagate = True
