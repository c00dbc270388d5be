"""A dataset larger than the memory that the process may take is trained on, to the same end."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mritk.store.folder import ResultsFolder

# 120 images and as many volumes of 1 MiB; the training part alone is more than the limit leaves.
PLUGIN = """
from functools import partial

import numpy as np
from mritk import Architecture, Classification, Dataset, InputContract, Samples, hookimpl

SIDES = {2: 512, 3: 64}


def open_count(count, dims):
    def read(i):
        # Coarse enough for the audit to see at a glance that no two are alike.
        tiles = np.random.default_rng(i).random((8,) * dims, dtype=np.float32)
        return np.kron(tiles, np.ones((SIDES[dims] // 8,) * dims, dtype=np.float32))

    return Samples(
        ids=[f"image-{i:03d}" for i in range(count)],
        targets=np.arange(count) % 2,
        task=Classification(("dark", "bright")),
        read=read,
        patients=[f"patient-{i:03d}" for i in range(count)],
        spatial_dims=dims,
    )


def build(dims):
    from torch import nn

    # Little memory for a step: the image shrinks at once.
    if dims == 2:
        first, norm, pool = nn.Conv2d(3, 4, 16, 16), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(2)
    else:
        first, norm, pool = nn.Conv3d(1, 4, 8, 8), nn.BatchNorm3d(4), nn.AdaptiveAvgPool3d(2)
    return nn.Sequential(first, norm, nn.ReLU(), pool, nn.Flatten())


@hookimpl
def mritk_backbones():
    for dims, name in ((2, "patches"), (3, "cubes")):
        half = (0.5,) * (3 if dims == 2 else 1)
        contract = InputContract(SIDES[dims], half, half)
        yield Architecture(name, partial(build, dims), contract, spatial_dims=dims)


@hookimpl
def mritk_datasets():
    for dims, kind in ((2, "images"), (3, "volumes")):
        for amount, count in (("few", 12), ("many", 120)):
            yield Dataset(f"{amount}-{kind}", lambda _, n=count, d=dims: open_count(n, d))
"""

PROTOCOL = """
method = "finetune"
image_size = 512
volume_size = 64
augmentation = "none"

[parameters]
batch_size = 2
eval_batch_size = 2

[[parameters.stages]]
name = "all"
epochs = 1
learning_rate = 1e-2
"""

SCRIPT = """
import os
import resource
import sys
from pathlib import Path

# Before libraries count the cores: each thread's stack is memory too, and so are its buffers.
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])

import numpy as np

from mritk.cli.main import main
from mritk.machine.host_memory import available_bytes

plugin, protocol, folder, home = sys.argv[1:]
os.environ["MRITK_HOME"] = home
MIB = 2**20
LEFT = 64 * MIB


def run(amount, name):
    for backbone, kind in (("patches", "images"), ("cubes", "volumes")):
        code = main(["run", "-p", plugin, "-b", backbone, "-d", f"{amount}-{kind}",
                     "--protocol", protocol, "--seeds", "1", "--device", "cpu",
                     "-o", f"{folder}/{kind}/{name}"])
        assert code == 0, (amount, kind, name)


run("few", "warm-up")  # libraries and threads have then taken what they take
limits = resource.getrlimit(resource.RLIMIT_DATA)
status = Path("/proc/self/status").read_text().splitlines()
(taken,) = [int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:")]
resource.setrlimit(resource.RLIMIT_DATA, (taken + LEFT, limits[1]))
assert available_bytes() <= LEFT

run("many", "limited")
kept = [p for p in Path(home, "decoded").rglob("*.npy") if p.stat().st_size > 100 * MIB]
assert len(kept) == 2, kept
for stored in kept:
    decoded = np.load(stored, mmap_mode="r")
    try:
        decoded[np.arange(len(decoded)) % 5 < 3]
    except MemoryError:
        pass
    else:
        raise SystemExit("the copy of the training part would have fitted")

resource.setrlimit(resource.RLIMIT_DATA, limits)
run("many", "unlimited")
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Results of images and of volumes, from one process: imports take longer than trainings."""
    folder = tmp_path_factory.mktemp("larger")
    (folder / "patches.py").write_text(PLUGIN)
    (folder / "fast.toml").write_text(PROTOCOL)
    arguments = [folder / name for name in ("patches.py", "fast.toml", "results", "home")]
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder / "results"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits what Linux limits")
@pytest.mark.parametrize("kind", ["images", "volumes"])
def test_a_dataset_larger_than_memory_trains_to_the_same_predictions(trained, kind):
    """A run of ten times the samples takes no more memory than 64 MiB beyond that of a few."""
    folders = [ResultsFolder(trained / kind / name) for name in ("limited", "unlimited")]
    (limited,), (unlimited,) = (list(folder.trials()) for folder in folders)
    assert limited.status == unlimited.status == "finished"
    assert len(limited.splits["train"]) > 64
    for part in ("val", "test"):
        # Short of memory, images are evaluated one by one, which affects scores by rounding: other
        # images in a step move them by far more.
        np.testing.assert_allclose(
            limited.predictions[part].score, unlimited.predictions[part].score, rtol=0, atol=1e-6
        )
