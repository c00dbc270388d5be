"""A SLURM of one node, this machine, with daemons and a key of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("unshare", "munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue")
CONF = """\
ClusterName=one
SlurmctldHost={host}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=5
MinJobAge=3600
NodeName={host} CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class NoSlurm(Exception):
    """It cannot start here."""


def missing() -> str:
    """Return what a SLURM lacks here; empty if nothing."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if absent:
        return f"needs Debian's packages slurmctld, slurmd, munge ({', '.join(absent)})"
    return "" if os.geteuid() == 0 else "needs root"


@contextmanager
def one_node_slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Provide the environment in which SLURM's commands find it.

    Raises:
        NoSlurm: It does not start.
    """
    host = socket.gethostname().partition(".")[0]
    folder.mkdir()
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    conf = folder / "slurm.conf"
    ports = [_free_port(), _free_port()]
    conf.write_text(CONF.format(host=host, folder=folder, ports=ports, cpus=os.cpu_count()))
    environment = {**os.environ, "SLURM_CONF": str(conf), "PATH": _path()}
    munge = ["munged", "--foreground", "--force", f"--key-file={key}", "--num-threads=2"]
    munge += [f"--socket={folder}/munge.socket", f"--pid-file={folder}/munge.pid"]
    munge += [f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"]
    daemons: list[subprocess.Popen[bytes]] = []

    def start(command: list[str]) -> None:
        with (folder / f"{command[0]}.out").open("wb") as out:
            daemons.append(subprocess.Popen(command, stdout=out, stderr=out, env=environment))

    try:
        start(munge)
        _wait_for((folder / "munge.socket").exists, daemons, folder)
        start(["slurmctld", "-D", "-c"])
        # Processes of a job see those of a job alone, or 'ray stop' would end every Ray here.
        start(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "slurmd", "-D"])
        state = ["sinfo", "--noheader", "--format=%T"]
        _wait_for(lambda: "idle" in _told(state, environment), daemons, folder)
        yield environment
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()


def _wait_for(
    ready: Callable[[], bool],
    daemons: Sequence[subprocess.Popen[bytes]],
    folder: Path,
    seconds: float = 40.0,
) -> None:
    until = time.monotonic() + seconds
    while not ready():
        ended = [str(daemon.args) for daemon in daemons if daemon.poll() is not None]
        if ended or time.monotonic() > until:
            said = "".join(path.read_text()[-500:] for path in sorted(folder.glob("*.out")))
            raise NoSlurm(f"SLURM does not start here: {' '.join(ended)} {said}")
        time.sleep(0.3)


def _told(command: list[str], environment: dict[str, str]) -> str:
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return ended.stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _path() -> str:
    return f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/usr/bin"
