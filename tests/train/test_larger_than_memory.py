"""A dataset larger than the memory that the process may take is trained on, to the same end."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mritk.store.folder import ResultsFolder

# 240 images or volumes of 1 MiB; the training part alone is more than the limit leaves.
PLUGIN = """
import numpy as np
from mritk import Architecture, Classification, Dataset, InputContract, Samples, hookimpl

DIMS = DIMENSIONS
SIDE = {2: 512, 3: 64}[DIMS]


def open_count(count):
    def read(i):
        # Coarse enough for the audit to see at a glance that no two are alike.
        tiles = np.random.default_rng(i).random((8,) * DIMS, dtype=np.float32)
        return np.kron(tiles, np.ones((SIDE // 8,) * DIMS, dtype=np.float32))

    return Samples(
        ids=[f"image-{i:03d}" for i in range(count)],
        targets=np.arange(count) % 2,
        task=Classification(("dark", "bright")),
        read=read,
        patients=[f"patient-{i:03d}" for i in range(count)],
        spatial_dims=DIMS,
    )


def build():
    from torch import nn

    # Little memory for a step: the image shrinks at once.
    if DIMS == 2:
        first, norm, pool = nn.Conv2d(3, 4, 16, 16), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(2)
    else:
        first, norm, pool = nn.Conv3d(1, 4, 8, 8), nn.BatchNorm3d(4), nn.AdaptiveAvgPool3d(2)
    return nn.Sequential(first, norm, nn.ReLU(), pool, nn.Flatten())


@hookimpl
def mritk_backbones():
    half = (0.5,) * (3 if DIMS == 2 else 1)
    yield Architecture("patches", build, InputContract(SIDE, half, half), spatial_dims=DIMS)


@hookimpl
def mritk_datasets():
    yield Dataset("few", lambda workspace: open_count(24))
    yield Dataset("many", lambda workspace: open_count(240))
"""

PROTOCOL = """
method = "finetune"
SIZE
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

# Before libraries count the cores: each thread's stack is memory too.
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])

import numpy as np

from mritk.cli.main import main
from mritk.machine.host_memory import available_bytes

plugin, protocol, folder, home = sys.argv[1:]
os.environ["MRITK_HOME"] = home
MIB = 2**20


def run(dataset, name):
    code = main(["run", "-p", plugin, "-b", "patches", "-d", dataset, "--protocol", protocol,
                 "--seeds", "1", "--device", "cpu", "-o", f"{folder}/{name}"])
    assert code == 0, (dataset, name)


run("few", "warm-up")  # libraries and threads have then taken what they take
limits = resource.getrlimit(resource.RLIMIT_DATA)
status = Path("/proc/self/status").read_text().splitlines()
(taken,) = [int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:")]
resource.setrlimit(resource.RLIMIT_DATA, (taken + 128 * MIB, limits[1]))
assert available_bytes() <= 128 * MIB

run("many", "limited")
(stored,) = [p for p in Path(home, "decoded").rglob("*.npy") if p.stat().st_size > 200 * MIB]
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


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits what Linux limits")
@pytest.mark.parametrize("dims", [2, 3], ids=["images", "volumes"])
def test_a_dataset_larger_than_memory_trains_to_the_same_predictions(tmp_path, dims):
    """A run of ten times the samples takes no more memory than 128 MiB beyond that of a few."""
    size = {2: "image_size = 512", 3: "volume_size = 64"}[dims]
    (tmp_path / "patches.py").write_text(PLUGIN.replace("DIMENSIONS", str(dims)))
    (tmp_path / "fast.toml").write_text(PROTOCOL.replace("SIZE", size))
    arguments = [tmp_path / name for name in ("patches.py", "fast.toml", "results", "home")]
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    folders = [ResultsFolder(tmp_path / "results" / name) for name in ("limited", "unlimited")]
    (limited,), (unlimited,) = (list(folder.trials()) for folder in folders)
    assert limited.status == unlimited.status == "finished"
    assert len(limited.splits["train"]) > 100
    for part in ("val", "test"):
        # Short of memory, images are evaluated one by one, which affects scores by rounding: other
        # images in a step move them by far more.
        np.testing.assert_allclose(
            limited.predictions[part].score, unlimited.predictions[part].score, rtol=0, atol=1e-6
        )
