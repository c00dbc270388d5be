"""A connection with a Ray cluster, for the time of a run."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from mritk import Unavailable, available_cores
from mritk_ray.upload import not_uploaded
from mritk_ray.watch import reach

# Seconds within which a cluster answers.
ANSWER_S = 20.0

# To any address but "auto", Ray 2.60 sends the token of ~/.ray only if this says so.
TOKENS = "RAY_AUTH_MODE"
INSTALL = "python -m pip install 'mritk-bench[ray]'"
# Which messages Ray leaves out, read at its import: a page on each worker or raylet that dies, of
# which the run tells in a line.
# https://docs.ray.io/en/latest/ray-observability/user-guides/configure-logging.html
LEFT_OUT = (
    "RAY_DEDUP_LOGS_SKIP_REGEX",
    "A worker died or was killed while executing a task|Raylet is terminated",
)


@contextmanager
def connected(address: str, brought: Mapping[str, Any] | None = None) -> Iterator[ModuleType]:
    """Connect with a cluster for the time of the block, unless this process is connected.

    ``brought`` is what Ray brings to each machine, as ``ray.init`` takes it.
    """
    os.environ.setdefault(*LEFT_OUT)
    try:
        import ray
    except ImportError as error:
        raise Unavailable(f"executor ray needs Ray, which is not installed: {INSTALL}") from error
    if ray.is_initialized():
        yield ray
        return
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        settings |= {"num_cpus": available_cores(), "include_dashboard": False}
    if brought is not None:
        settings["runtime_env"] = brought
    try:
        _require_answer(address)
        with _sigterm_kept():
            ray.init(address, **settings)
    except ray.exceptions.RuntimeEnvSetupError as error:
        raise Unavailable(not_uploaded(error)) from error
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or first_line(error)
        token = "" if TOKENS in os.environ else f"; a cluster with tokens needs {TOKENS}=token"
        raise Unavailable(
            f"no Ray cluster at {address!r} ({why}); 'ray start --head' starts one "
            f"on this machine, '--executor ray' needs none{token}"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Refuse an address at which nothing answers; Ray would try for many minutes.

    Raises:
        OSError: Nothing does.
        ValueError: There is no such port.
    """
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", address)
    place = address.rpartition("://")[2]
    _, colon, port = place.rpartition(":")
    if colon and port.isdecimal():
        reach(place, ANSWER_S)


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Keep the run's way to end when it is told to; Ray puts its own in its place."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def first_line(error: Exception) -> str:
    """Return the first sentence of what Ray says, which goes on for a page.

    Where a worker raised an error, Ray names the worker; the error tells more.
    """
    cause = getattr(error, "cause", None)
    if isinstance(cause, BaseException):
        return f"{type(cause).__name__}: {cause}".strip().splitlines()[0]
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line for line in lines if "exit detail:" in line), lines[0] if lines else "")
    return told.rpartition("exit detail:")[2].strip().partition(". ")[0] or type(error).__name__
