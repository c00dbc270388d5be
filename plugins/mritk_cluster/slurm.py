"""The job script that trains trials on the nodes of a SLURM job."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from mritk_cluster.run_command import on_ray

# 'ray symmetric-run' (Ray 2.49) starts Ray on every node, the command on the first one alone, and
# ends Ray with it. It needs the nodes for itself. The ports of its workers end at 19999, those that
# the system gives to others begin at 32768.
SCRIPT = """\
#!/bin/bash
# Trains the trials of mritk on all nodes of the job. Submit it with: sbatch FILE
# The results folder must be one that all nodes share.
{options}

{setup}set -u

# The script runs on the first node, where Ray's head will be.
head=$(hostname -I | cut -d ' ' -f 1)
address=${{head:-127.0.0.1}}:$((20000 + SLURM_JOB_ID % 10000))

# Ray takes orders from this job alone.
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN

# SLURM gives notice to this script alone, {notice} s before the job ends. It ends mritk then, and
# the job returns to the queue: finished trials are stored, others go on from their checkpoints.
process=$(mktemp)
trap 'rm -f "$process"' EXIT
noticed=
trap 'noticed=1; kill -TERM "$(cat "$process")" 2>/dev/null || kill -TERM "$running"' TERM

# shellcheck disable=SC2016  # the inner shell expands it
srun --cpus-per-task="$SLURM_CPUS_ON_NODE" \\
  ray symmetric-run --address "$address" --min-nodes {nodes} \\
  --num-cpus "$SLURM_CPUS_ON_NODE" --num-gpus {gpus} -- \\
  bash -c 'echo $$ > "$0" && exec "$@"' "$process" \\
  {command} &
running=$!
wait "$running"
code=$?
if [ -n "$noticed" ]; then
  wait "$running"
  code=$?
{requeue}fi
exit "$code"
"""
REQUEUE = """\
  if [ "$code" -ne 0 ]; then
    scontrol requeue "$SLURM_JOB_ID" && exit 0
  fi
"""


@dataclass(frozen=True)
class Slurm:
    """What a SLURM job asks for.

    Attributes:
        name: Name of the job.
        nodes: Number of nodes, of one kind.
        gpus: GPUs per node.
        time: Its limit, as ``sbatch --time`` takes it; empty: that of the partition.
        partition: Where it runs; empty: the default.
        account: Who pays; empty: the default.
        notice: Seconds of notice before the job is ended.
        requeue: Whether it returns to the queue then.
        setup: Lines of shell that prepare the environment.
    """

    name: str
    nodes: int
    gpus: int
    time: str
    partition: str
    account: str
    notice: int
    requeue: bool
    setup: Sequence[str]

    def script(self, command: Sequence[str]) -> str:
        """Return the job script that runs a command of ``mritk run``.

        Raises:
            UsageError: See :func:`mritk_cluster.run_command.on_ray`.
        """
        words = on_ray(command, "ADDRESS")
        quoted = shlex.join(words[:-1]) + ' "ray:$address"'
        return SCRIPT.format(
            options="\n".join(f"#SBATCH {option}" for option in self._options()),
            setup="".join(f"{line}\n" for line in self.setup) + ("\n" if self.setup else ""),
            notice=self.notice,
            nodes=self.nodes,
            gpus=self.gpus,
            command=quoted,
            requeue=REQUEUE if self.requeue else "",
        )

    def _options(self) -> list[str]:
        optional = {
            "gpus-per-node": self.gpus,
            "time": self.time,
            "partition": self.partition,
            "account": self.account,
        }
        return [
            f"--job-name={self.name}",
            f"--nodes={self.nodes}",
            "--ntasks-per-node=1",
            "--exclusive",
            "--mem=0",
            *(f"--{name}={value}" for name, value in optional.items() if value),
            f"--output={self.name}-%j.log",
            "--open-mode=append",
            "--requeue" if self.requeue else "--no-requeue",
            f"--signal=B:TERM@{self.notice}",
        ]
