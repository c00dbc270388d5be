"""The executor ``ray``: trials on the machines of a Ray cluster, or on this one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from mritk import Executor, ExecutorFamily, hookimpl, lazy

RUN = lazy("mritk_ray.pool:run")


@hookimpl
def mritk_executors() -> Iterator[Executor | ExecutorFamily]:
    """Yield ``ray``, which starts Ray on this machine, and families that join a cluster."""
    yield Executor("ray", RUN, summary="Ray on this machine (extra: ray)")
    yield ExecutorFamily(
        "ray",
        at,
        placeholder="ADDRESS",
        summary="a running Ray cluster; 'ray:auto' finds the one of this machine or RAY_ADDRESS",
    )
    yield ExecutorFamily(
        "ray_upload",
        without_shared_folders,
        placeholder="ADDRESS",
        summary="a Ray cluster without shared folders: uploads the working folder",
    )


def at(address: str) -> Sequence[Executor]:
    """Return the executor of the cluster at an address."""
    return (Executor(f"ray:{address}", partial(RUN, address=address)),)


def without_shared_folders(address: str) -> Sequence[Executor]:
    """Return the executor of the cluster at an address, whose machines see no folder of the run."""
    run = partial(RUN, address=address, upload=True)
    return (Executor(f"ray_upload:{address}", run, shares_folders=False),)
