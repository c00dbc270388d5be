"""nnU-Net is told of training and validation alone, and what it leaves becomes a trial.

Its programs are small ones of ours; with ``MRITK_TEST_NNUNET=FOLDER``, an environment with
nnunetv2, the last test runs nnU-Net itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
import pytest

from mritk import Workspace
from mritk.data.sample_files import read_label_map, write_sample
from mritk.data.volume_space import Space, around_middle
from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder
from tests.plugins.nnunet.conftest import PLUGIN, SHAPE

pytestmark = pytest.mark.slow

REAL = os.environ.get("MRITK_TEST_NNUNET", "")
needs_nnunet = pytest.mark.skipif(
    not REAL, reason="MRITK_TEST_NNUNET names no environment with nnunetv2"
)


def stored(folder):
    (record,) = ResultsFolder(folder).trials()
    return record


def test_its_label_maps_epochs_plan_and_packages_are_in_the_trial(nnunet, mritk, words, tmp_path):
    before = sorted((one.metadata["Name"], one.version) for one in distributions())
    ended = mritk(*words())
    assert ended.code == 0, ended.err
    assert sorted((one.metadata["Name"], one.version) for one in distributions()) == before
    record = stored(tmp_path / "results")
    assert [epoch.epoch for epoch in record.history] == [1, 2, 3, 4]
    second = record.history[1]
    assert (second.train_loss, second.val_loss, second.seconds) == (0.5, 0.5, 1.25)
    assert (second.selection, second.learning_rate, second.epochs) == (0.25, 0.01, 4)
    assert second.extra == {"pseudo dice[whole]": 0.25}
    test = record.predictions["test"]
    assert (test.score[:, 0] > 0.8).all()  # the whole ball, by a threshold
    assert [test.masks.shapes[0], test.masks.spacing_of(0)] == [(10, 8, 12), (2.0, 1.0, 1.5)]
    assert record.notes["nnunetv2"] == "2.8.1"
    assert record.notes["deterministic"] is False
    plan = record.notes["plan"]
    assert plan["spacing"] == [1.5, 1.0, 2.0]  # to the right, the front and up
    assert plan["architecture"]["arch_kwargs"]["features_per_stage"] == [8, 16, 32]
    lock = record.provenance["external"]["nnunet"]["environment"]
    assert lock["packages"]["nnunetv2"] == "2.8.1"
    card = mritk("card", record.id, "--results", tmp_path / "results").out
    assert "nnunet is not deterministic: the same seed gives other scores" in card


def test_no_test_case_is_in_the_raw_dataset_by_digest(nnunet, mritk, words, balls, tmp_path):
    program = nnunet / "bin" / "nnUNetv2_train"
    copy = f"import shutil; shutil.copytree(raw.parent, '{tmp_path}/seen')\n"
    program.write_text(program.read_text() + copy)
    assert mritk(*words()).code == 0
    record = stored(tmp_path / "results")
    digests = {}
    for row, name in enumerate(balls.ids):
        space = Space.of(balls, row, balls.read(row).shape[1:])
        files = write_sample(balls.read(row), tmp_path, "one", balls.channels, 3, space)
        digests |= {content(path): name for path in files.values()}
    assert len(digests) == 60
    seen = [path for path in (tmp_path / "seen").rglob("*.nii.gz") if "imagesTr" in path.parts]
    found = sorted({digests[content(path)] for path in seen})
    assert found == sorted(record.splits["train"] + record.splits["val"])
    everything = {content(path) for path in (tmp_path / "seen").rglob("*.nii.gz")}
    test = {one for one, name in digests.items() if name in record.splits["test"]}
    assert test
    assert not everything & test
    split = json.loads((tmp_path / "seen" / "split.json").read_text())
    assert len(split["train"]) == len(record.splits["train"])
    assert len(split["val"]) == len(record.splits["val"])


def content(path):
    """Return the digest of the voxels and the header, which compression does not change."""
    import gzip

    return hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()


def test_killed_in_training_it_continues_from_its_checkpoint(
    nnunet, mritk, words, tmp_path, monkeypatch
):
    monkeypatch.setenv("OMP_SLEEP", "1.0")
    log = None
    with subprocess.Popen(
        [sys.executable, "-m", "mritk", *words()], stderr=subprocess.DEVNULL
    ) as run:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            log = next((tmp_path / "results").glob("checkpoints/*.files/program/log.txt"), None)
            if log is not None and "Epoch 2" in log.read_text():
                break
            time.sleep(0.02)
        time.sleep(0.3)
        run.send_signal(signal.SIGKILL)
    time.sleep(1.5)
    assert "Epoch 3" not in log.read_text()  # its program ended with mritk
    monkeypatch.setenv("OMP_SLEEP", "0")
    ended = mritk(*words())
    assert ended.code == 0, ended.err
    record = stored(tmp_path / "results")
    assert [epoch.epoch for epoch in record.history] == [1, 2, 3, 4]
    assert record.cost["resumed_after_epochs"] == 2


FAILURES = {
    "crash": (
        "train",
        "for epoch in",
        "raise MemoryError('workers')\nfor epoch in",
        "MemoryError: w",
    ),
    "exit code": (
        "plan_and_preprocess",
        "first = ",
        "sys.exit(4)\nfirst = ",
        "ended with exit code 4",
    ),
    "shape": (
        "predict",
        "mask = (load(path)",
        "mask = (load(path)[1:]",
        "its shape is (11, 8, 10), that of the image (12, 8, 10)",
    ),
    "too many": (
        "predict",
        "    nibabel.save(image, ",
        "    nibabel.save(image, Path(after('-o')) / 'another.nii.gz')\n    nibabel.save(image, ",
        "; unknown: another.nii.gz",
    ),
    "too few": ("predict", "    nibabel.save", "    0 and nibabel.save", "nnU-Net predicted 0 of "),
}


@pytest.mark.parametrize("case", FAILURES)
def test_what_goes_wrong_is_one_line_and_a_stored_failure(nnunet, mritk, words, tmp_path, case):
    program, old, new, message = FAILURES[case]
    path = nnunet / "bin" / f"nnUNetv2_{program}"
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))
    ended = mritk(*words())
    assert ended.code == 3
    assert message in ended.err
    assert message in stored(tmp_path / "results").failure.message


def test_a_missing_environment_or_package_says_how_to_make_it(
    environment, mritk, words, tmp_path, monkeypatch
):
    assert "export MRITK_NNUNET=~/nnunet" in mritk(*words()).err
    monkeypatch.setenv("MRITK_NNUNET", str(tmp_path / "none"))
    assert f"there is no Python at {tmp_path}/none; create one with" in mritk(*words()).err
    monkeypatch.setenv("MRITK_NNUNET", str(environment))
    ended = mritk(*words('version = "2.6.0"\n'))
    assert "has nnunetv2 2.8.1, but the protocol wants 2.6.0; install it with" in ended.err
    assert ended.code == 4
    monkeypatch.setenv("MRITK_NNUNET", "here")
    assert "here (MRITK_NNUNET) has no nnunetv2; install it with" in mritk(*words()).err


READ = """
import sys
import numpy as np
from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_file_ending
reader = determine_reader_writer_from_file_ending(".nii.gz", verbose=False)()
pixels, facts = reader.read_images(sys.argv[1:2])
np.save(sys.argv[2], pixels)
print(*facts["spacing"])
reader.write_seg(pixels[0].astype(np.uint8), sys.argv[3], facts)
"""


@needs_nnunet
def test_nnunet_itself_reads_axial_slices_and_writes_where_it_has_read(balls, tmp_path):
    """Slices of its ``2d`` are along the last two axes, unless those of a third are thicker."""
    nodding = np.eye(4)
    nodding[1:3, 1:3] = [[0.96, -0.28], [0.28, 0.96]]
    for affine in (np.eye(4), nodding):
        space = Space(SHAPE, affine @ around_middle(SHAPE, (1.0, 1.0, 1.0)))
        volume = balls.read(0)[0]
        (path,) = write_sample(volume, tmp_path, "one", (), 3, space).values()
        seen, answer = tmp_path / "seen.npy", tmp_path / "answer.nii.gz"
        command = [Path(REAL) / "bin" / "python", "-c", READ, path, seen, answer]
        told = subprocess.run([*map(str, command)], check=True, capture_output=True, timeout=120)
        assert [float(mm) for mm in told.stdout.split()] == pytest.approx([1.0] * 3)
        slices = np.load(seen)[0]
        assert slices.shape == volume.shape
        # The patient's left first where mritk has the right, and the back where it has the front.
        np.testing.assert_array_equal(slices, volume[:, ::-1, ::-1])
        np.testing.assert_array_equal(read_label_map(answer, space), volume)


@needs_nnunet
def test_nnunet_itself_plans_axial_slices(mritk, words, tmp_path, monkeypatch):
    monkeypatch.setenv("MRITK_NNUNET", REAL)
    two = 'configuration = "2d"\niterations = 1\nval_iterations = 1\n'
    command = words(two, changed=("epochs = 4", "epochs = 1"))
    (tmp_path / "balls.py").write_text(PLUGIN.replace("[2.0, 1.0, 1.5]", "[1.0, 1.0, 1.0]"))
    ended = mritk(*command)
    assert ended.code == 0, ended.err
    assert stored(tmp_path / "results").notes["plan"]["median_image_size_in_voxels"] == [8, 12]


@needs_nnunet
def test_nnunet_itself_learns_the_whole_tumour_better_than_a_threshold(
    mritk, tmp_path, monkeypatch
):
    pytest.importorskip("nilearn", reason="the phantom's anatomy is shipped by nilearn")
    monkeypatch.setenv("MRITK_NNUNET", REAL)
    data = "phantom3d,target=mask,size=32,patients=40"
    words = ("run", "-d", data, "--protocol", "nnunet_small", "--seeds", 1, "--device", "cpu")
    ended = mritk(*words, "-o", tmp_path / "results")
    assert ended.code == 0, ended.err
    record = stored(tmp_path / "results")
    assert len(record.history) == 20
    plan = record.notes["plan"]
    assert plan["spacing"] == [6.75, 6.75, 6.75]
    assert len(plan["normalization_schemes"]) == 4
    whole = record.predictions["test"].score[:, list(record.task.columns).index("dice[WT]")]
    assert np.nanmean(whole) >= 0.6
    assert np.nanmean(whole) > 0.1 + dice_of_a_threshold(opened(data), record.splits)


def opened(data):
    return Registry.load(environ={}).dataset(data).open(Workspace.from_environment())


def dice_of_a_threshold(samples, splits):
    """Return the mean test Dice of the channel and level that are best on the training cases."""

    def cases(part):
        rows = [samples.ids.index(name) for name in splits[part]]
        return [(samples.read(row), samples.read_target(row) > 0) for row in rows]

    def mean(cases, channel, level):
        found = [(volume[channel] > level, mask) for volume, mask in cases]
        return np.mean([2 * (a & b).sum() / max(1, a.sum() + b.sum()) for a, b in found])

    train, tried = cases("train"), [(c, level) for c in range(4) for level in range(40, 250, 5)]
    return mean(cases("test"), *max(tried, key=lambda one: mean(train, *one)))
