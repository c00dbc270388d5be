"""A Ray cluster whose machines see no folder of the run: files go there, trials come back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from mritk.errors import StoreError
from mritk.execute.parcel import Parcel, receive
from mritk.store.folder import ResultsFolder
from mritk.store.kept_model import require_model
from mritk_ray.upload import not_uploaded, working_folder
from tests.plugins.ray.waiting import wait_until
from tests.trial_essence import essence

# A tmpfs over the test's folder, in a mount namespace of its own: nobody else sees it.
APART = 'mount -t tmpfs none "$0" && exec "$@"'


def can_hide() -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    command = ["unshare", "-m", "sh", "-c", APART, tempfile.gettempdir(), "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def address(tmp_path):
    """A cluster whose only machine with cores sees nothing in ``tmp_path``."""
    ray = pytest.importorskip("ray", reason="needs the extra 'ray'")
    if not can_hide():
        pytest.skip("needs Linux and the right to mount a file system")
    from ray.cluster_utils import Cluster

    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    with tempfile.TemporaryDirectory(prefix="apart", dir="/var/tmp") as home:
        command = ["unshare", "-m", "sh", "-c", APART, str(tmp_path)]
        command += [str(Path(sys.executable).with_name("ray")), "start", "--block"]
        command += ["--address", cluster.address, "--num-cpus", "1"]
        environment = os.environ | {"MRITK_HOME": home, "RAY_memory_monitor_refresh_ms": "0"}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, cwd="/", start_new_session=True
        ) as machine:
            ray.init(cluster.address, logging_level="ERROR", log_to_driver=False)
            wait_until(lambda: ray.cluster_resources().get("CPU"))
            ray.shutdown()
            yield cluster.address
            machine.terminate()
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture
def folder(tmp_path, toy, fast_protocol, monkeypatch):
    """The working folder, with all that the run needs."""
    path = tmp_path / "work"
    generator = np.random.default_rng(0)
    for label, level in (("dark", 60), ("bright", 180)):
        (path / "heads" / label).mkdir(parents=True)
        for number in range(12):
            pixels = generator.normal(level, 30, (32, 32)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path / "heads" / label / f"{number}.png")
    toy.rename(path / "toy.py")
    fast_protocol.rename(path / "fast.toml")
    (path / ".gitignore").write_text("heads/\n")
    monkeypatch.chdir(path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return path


@pytest.mark.slow
def test_trials_of_machines_that_see_no_folder_of_the_run_come_back_the_same(
    mritk, address, folder
):
    command = ["run", "-p", "toy.py", "-b", "tiny", "-d", "folder:heads", "--no-patient-ids"]
    command += ["--protocol", "fast.toml", "--seeds", "2", "--device", "cpu", "--keep-models"]
    apart = mritk(*command, "-o", "apart", "--executor", f"ray_upload:{address}")
    assert apart.code == 0, apart.err
    absolute = [part.replace("folder:heads", f"folder:{folder}/heads") for part in command]
    failed = mritk(*absolute, "-o", "lost", "--executor", f"ray_upload:{address}")
    assert failed.code == 4
    assert "sees the uploaded working folder only: name files by paths relative" in failed.err
    assert {trial.status for trial in ResultsFolder(folder / "lost").trials()} == {"failed"}
    here = mritk(*command, "-o", "here", "--jobs", "1")
    assert here.code == 0, here.err
    found = ResultsFolder(folder / "apart")
    models = [load_file(require_model(found, trial)) for trial in found.trials()]
    assert [model.keys() for model in models] == [models[0].keys()] * 2
    assert essence_without_models(folder / "apart") == essence_without_models(folder / "here")


def essence_without_models(path):
    """The digest of a model covers where its plugins are."""
    trials = essence(path)
    assert len(trials) == 2
    for trial in trials.values():
        assert trial["notes"].pop("model")
    return trials


def test_the_working_folder_goes_without_results_and_caches(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MRITK_HOME", "cache")
    brought = working_folder(tmp_path / "results" / "first")
    assert brought["working_dir"] == str(tmp_path)
    assert sorted(brought["excludes"]) == ["/cache", "/results/first"]
    monkeypatch.setenv("MRITK_HOME", str(tmp_path.parent))
    assert working_folder(Path("/elsewhere"))["excludes"] == []


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("runs [old]", "runs o"),
        ("runs*", "runs of last year"),
        ("run?", "runs"),
        ("back\\slash", "backslash"),
        ("!kept", "kept"),
        ("#1", "1"),
        ("last ", "last"),
        ("plain/a", "a"),
    ],
)
def test_a_folder_of_any_name_stays_behind_and_no_other(name, other, tmp_path, monkeypatch):
    packaging = pytest.importorskip("ray._private.runtime_env.packaging", reason="needs Ray")
    monkeypatch.chdir(tmp_path)
    excluded = packaging._get_excludes(tmp_path, working_folder(tmp_path / name)["excludes"])
    assert excluded(tmp_path / name / "trial.h5")
    assert not excluded(tmp_path / other / "scan.png")


def test_caches_below_the_home_of_the_user_stay_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MRITK_HOME", "~/cache")
    assert working_folder(None)["excludes"] == ["/cache"]


def test_a_folder_that_is_too_large_is_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = not_uploaded(
        RuntimeError("Package size (600.00MiB) exceeds the maximum size of 512.00MiB. To exclude …")
    )
    assert f"{tmp_path} is too large for Ray to upload (600.00MiB of at most 512.00MiB)" in told


def test_a_trial_file_that_is_damaged_on_its_way_is_not_stored(tmp_path):
    results = ResultsFolder(tmp_path)
    results.require_writable()
    with pytest.raises(StoreError, match="damaged on its way"):
        receive(Parcel(b"half a file"), results, "abc", failed=False)
    assert not list(results.trial_files())
