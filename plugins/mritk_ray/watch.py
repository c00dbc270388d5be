"""Notice that a cluster is gone on which a run waits.

Ray 2.60 does not tell. Without the raylet of this machine, ``ray.wait`` waits for ever, and reading
a large result ends the process; a minute without the GCS, the process of the cluster that knows all
others, ends it too, with the exit code 1. Calls into Ray meanwhile wait for that minute, so both
are asked by a plain connection whether they are there.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType

from mritk import Unavailable

# Seconds within which a process answers that is there.
REACH_S = 2.0
# Seconds for which one may be silent, as a GCS is that is started anew. With these and those for
# which ``ray.shutdown`` waits for it, five, the run ends before Ray ends it.
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Process:
    """A process of a cluster.

    Attributes:
        address: Host and port.
        is_lost: What it means if it is gone, as a clause.
        restarts: Whether it can come back.
    """

    address: str
    is_lost: str
    restarts: bool = False


class Watch:
    """Tells whether the processes of a cluster are there that this process depends on.

    Args:
        processes: Those; what cannot be reached from here to begin with, as behind a Ray client,
            tells nothing later either, and is left out.
    """

    def __init__(self, processes: Sequence[Process] = ()) -> None:
        self._processes = [process for process in processes if _is_there(process)]
        self._silent: dict[Process, float] = {}  # since when, by the monotonic clock

    def look(self) -> bool:
        """Tell whether all are there now.

        Raises:
            Unavailable: One has ended that cannot come back, or has been silent for too long.
        """
        for process in self._processes:
            try:
                reach(process.address, REACH_S)
            except OSError as error:
                since = self._silent.setdefault(process, time.monotonic())
                ended = isinstance(error, ConnectionRefusedError) and not process.restarts
                if ended or time.monotonic() - since >= PATIENCE_S:
                    raise Unavailable(
                        f"{process.is_lost}; finished trials are stored, and once the cluster runs "
                        "again the same command goes on where this run stopped"
                    ) from error
            else:
                self._silent.pop(process, None)
        return not self._silent

    def wait(self) -> None:
        """Return when all are there."""
        while not self.look():
            time.sleep(min(1.0, PATIENCE_S))


def watch_of(ray: ModuleType) -> Watch:
    """Return the watch over the GCS of the cluster, and over the raylet of this machine."""
    context = ray.get_runtime_context()
    here, cluster = context.get_node_id(), context.gcs_address
    gone = f"the Ray cluster at {cluster} no longer answers"
    processes = [Process(cluster, gone, restarts=True)]
    for node in ray.nodes():
        if node["NodeID"] == here:
            raylet = f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"
            ended = f"Ray's process on this machine has ended, which joined it to {cluster}"
            processes.append(Process(raylet, ended))
    return Watch(processes)


def reach(address: str, seconds: float) -> None:
    """Connect with a host and port, and part at once.

    Raises:
        OSError: Nothing answers there.
    """
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), seconds).close()


def _is_there(process: Process) -> bool:
    with suppress(OSError, ValueError):
        reach(process.address, REACH_S)
        return True
    return False
