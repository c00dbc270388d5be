"""The group ``mritk cluster``: prints what trains a benchmark on a cluster."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from mritk import UsageError

# As SLURM writes a time: minutes, hours:minutes:seconds, days-hours:minutes, and between.
TIME = re.compile(r"\d+(:[0-5]?\d){0,2}|\d+-\d+(:[0-5]?\d){0,2}")
SLURM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.,@+-]*")
# KubeRay takes labels of RFC 1035, and 47 characters, since it appends to the name.
RAY_JOB_NAME = re.compile(r"[a-z]([a-z0-9-]{0,45}[a-z0-9])?")
# Kubernetes takes labels of RFC 1123, for some things several with dots between them.
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
KUBERNETES_LABEL = re.compile(LABEL)
# What Kueue calls a queue is the value of a label, too.
KUEUE_QUEUE = re.compile(rf"(?=.{{1,63}}\Z){LABEL}(\.{LABEL})*")
KUBERNETES_SUBDOMAIN = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(\.{LABEL})*")
IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*")
MEMORY = re.compile(r"[1-9][0-9]*(Mi|Gi|Ti|M|G|T)")
MOUNT = re.compile(r"/[A-Za-z0-9._/-]+")

command_argument = click.argument(
    "command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- mritk run …"
)


def text_option(
    *names: str,
    of: re.Pattern[str],
    like: str,
    default: str = "",
    required: bool = False,
    **settings: Any,
) -> Callable[..., Any]:
    """Return an option of click whose text fits the pattern ``of``; errors show one ``like`` it.

    A default that is not empty is shown.
    """

    def check(context: click.Context, parameter: click.Parameter, value: str) -> str:
        if value and not of.fullmatch(value):
            raise UsageError(f"{names[0]} {value!r} is not valid; as in {names[0]} {like}")
        return value

    settings |= {"required": True} if required else {"default": default}
    return click.option(*names, callback=check, show_default=bool(default) or None, **settings)


@click.group()
def cluster() -> None:
    """Print what trains a benchmark on a SLURM or Kubernetes cluster.

    Both start Ray on the machines of a job; 'mritk run' then trains its trials there. Nothing is
    submitted.
    """


@cluster.command()
@click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, help="Nodes.")
@click.option(
    "--gpus-per-node", "gpus", type=click.IntRange(0), default=0, show_default=True, help="GPUs."
)
@text_option(
    "--time",
    of=TIME,
    like="08:00:00",
    metavar="TIME",
    help="Time limit, as for sbatch. Default: that of the partition.",
)
@text_option("--partition", of=SLURM_NAME, like="gpu", metavar="NAME", help="Partition.")
@text_option("--account", of=SLURM_NAME, like="lab", metavar="NAME", help="Account.")
@text_option(
    "--job-name",
    "name",
    of=SLURM_NAME,
    like="mritk",
    default="mritk",
    metavar="NAME",
    help="Name of the job and of its log, NAME-ID.log.",
)
@click.option(
    "--notice",
    type=click.IntRange(1, 65535),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="Time between notice and end.",
)
@click.option(
    "--requeue/--no-requeue", default=True, help="Return to the queue if ended early. Default: yes."
)
@click.option("--setup", multiple=True, metavar="LINE", help="Line of shell before it; repeatable.")
@command_argument
def slurm(command: tuple[str, ...], **options: Any) -> None:
    """Print a job script for sbatch that runs 'mritk run …' on all its nodes.

    \b
    mritk cluster slurm --nodes 2 --gpus-per-node 4 --time 08:00:00 -- \\
        mritk run study.toml --results /shared/results > job.sh
    sbatch job.sh

    The environment of sbatch is that of the job, so 'mritk' and 'ray' (extra: ray) must be found
    there, or by a line of --setup.
    """
    from mritk_cluster.run_command import require_one_line
    from mritk_cluster.slurm import Slurm

    for line in options["setup"]:
        require_one_line("--setup", line)
    click.echo(Slurm(**options).script(command), nl=False)


@cluster.command()
@text_option(
    "--image",
    of=IMAGE,
    like="registry.example.org/lab/mritk:1",
    required=True,
    help="Container image with mritk and Ray.",
)
@text_option(
    "--claim",
    of=KUBERNETES_SUBDOMAIN,
    like="shared-data",
    required=True,
    metavar="NAME",
    help="Volume claim (ReadWriteMany) for data, results and caches.",
)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Pods.")
@click.option(
    "--gpus-per-worker", "gpus", type=click.IntRange(0), default=0, show_default=True, help="GPUs."
)
@click.option("--cpus", type=click.IntRange(1), default=4, show_default=True, help="Cores per pod.")
@text_option(
    "--memory", of=MEMORY, like="32Gi", default="16Gi", metavar="SIZE", help="Memory per pod."
)
@text_option("--name", of=RAY_JOB_NAME, like="mritk", default="mritk", help="Name of the RayJob.")
@text_option("--namespace", of=KUBERNETES_LABEL, like="lab", help="Namespace.")
@text_option(
    "--mount",
    of=MOUNT,
    like="/work",
    default="/work",
    metavar="FOLDER",
    help="Where the volume is mounted, and the command starts.",
)
@click.option("--retries", type=click.IntRange(0), default=3, show_default=True, help="New starts.")
@text_option("--queue", of=KUEUE_QUEUE, like="lab", help="Queue of Kueue that admits the job.")
@command_argument
def kuberay(command: tuple[str, ...], **options: Any) -> None:
    """Print a RayJob for KubeRay that runs 'mritk run …' on its worker pods.

    \b
    mritk cluster kuberay --image lab/mritk:1 --claim shared --workers 4 --gpus-per-worker 1 \\
        -- mritk run study.toml --results results > job.yaml
    kubectl apply -f job.yaml
    """
    import yaml

    from mritk_cluster.kuberay import RayJob

    job = RayJob(**options)
    click.echo(yaml.safe_dump(job.manifest(command), sort_keys=False, width=100), nl=False)
