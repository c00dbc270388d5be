"""nnU-Net is told of training and validation alone, and what it leaves becomes a trial.

Its programs are small ones of ours; with ``MRITK_TEST_NNUNET=FOLDER``, an environment with
nnunetv2, the last test runs nnU-Net itself.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
import pytest
import torch

from mritk import Segmentation, UsageError, Workspace
from mritk.data.sample_files import read_label_map, write_sample
from mritk.data.volume_space import Space, around_middle
from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder
from mritk.study.benchmark import find_protocol
from mritk_nnunet.epochs import epochs_in
from mritk_nnunet.recipe import NnunetRecipe
from mritk_nnunet.regions import labels_of, trained_names
from mritk_nnunet.trainer_file import write_trainer

pytestmark = pytest.mark.slow

REAL = os.environ.get("MRITK_TEST_NNUNET", "")
needs_nnunet = pytest.mark.skipif(
    not REAL, reason="MRITK_TEST_NNUNET names no environment with nnunetv2"
)
SHAPE = (10, 8, 12)

PLUGIN = '''
"""Bright balls with a brighter core, in two channels."""
import numpy as np
from mritk import Dataset, Samples, Segmentation, hookimpl

TASK = Segmentation(("background", "rim", "core"), {"whole": ("rim", "core"), "core": ("core",)})
SHAPE = (10, 8, 12)


def label_map(i):
    rng = np.random.default_rng(i)
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    distance = np.sqrt(np.square(grid - [5, 4, 6] - rng.uniform(-1, 1, 3)).sum(axis=-1))
    return ((distance < 3.2).astype(np.uint8) + (distance < 1.7)).astype(np.uint8)


def read(i):
    noise = np.random.default_rng(1000 + i).integers(0, 40, (2, *SHAPE))
    return (noise + [[[[60]]], [[[0]]]] * label_map(i) + 50).astype(np.uint8)


def open_balls(workspace=None):
    ids = [f"ball-{i:02d}" for i in range(30)]
    return Samples(
        ids, np.empty(0), TASK, read, spatial_dims=3, patients=ids, read_target=label_map,
        channels=("t1", "flair"), spacing=np.tile([2.0, 1.0, 1.5], (30, 1)),
    )


@hookimpl
def mritk_datasets():
    yield Dataset("balls", open_balls)
'''

PROTOCOL = """
method = "nnunet"
volume_size = "native"
[selection]
on = "last"
[parameters]
trainer = "nnUNetTrainerNoDA"
epochs = 4
base_features = 8
save_every = 1
"""


@pytest.fixture
def balls():
    namespace: dict = {}
    exec(PLUGIN, namespace)
    return namespace["open_balls"]()


@pytest.fixture
def words(tmp_path):
    """The command of a run into ``tmp_path/results``; lines are added to the protocol."""

    def make(more="", changed=("", "")):
        (tmp_path / "balls.py").write_text(PLUGIN)
        (tmp_path / "own.toml").write_text(PROTOCOL.replace(*changed) + more)
        parts = ("run", "-p", tmp_path / "balls.py", "-d", "balls", "--seeds", 1, "--device", "cpu")
        parts += ("--protocol", tmp_path / "own.toml", "-o", tmp_path / "results")
        return [str(part) for part in parts]

    return make


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


DOCKER = """#!/bin/sh
[ "$1" = image ] && echo '[{"Id": "sha256:abcdefabcdef0123"}]'
[ "$1" = run ] && echo 2.8.1
exit 0
"""


def test_the_version_in_a_container_is_asked_or_is_the_digest_of_its_image(
    mritk, words, tmp_path, monkeypatch
):
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MRITK_NNUNET", "docker:team/nnunet:2")
    ended = mritk(*words('version = "2.6.0"\n'))
    assert (
        "has nnunetv2 2.8.1, but the protocol wants 2.6.0; name an image that has it" in ended.err
    )
    ended = mritk(*words('version = "sha256:0123456789ab"\n'))
    assert "nnunet is not the version sha256:0123456789ab that the protocol wants" in ended.err
    ended = mritk(*words('version = "2.8.1"\n'))  # accepted: its programs plan nothing
    assert "nnU-Net ended without plans: there is no " in ended.err


def test_a_rule_of_selection_that_nnunet_does_not_have_is_refused(nnunet, mritk, words):
    ended = mritk(*words(changed=('on = "last"', 'on = "val"')))
    assert "nnU-Net keeps its last state, or the one of the best pseudo Dice" in ended.err


BRATS = ("background", "NETC", "SNFH", "ET")


def test_nested_regions_are_trained_as_regions_and_others_as_labels():
    nested = Segmentation(
        BRATS, {"ET": ("ET",), "TC": ("NETC", "ET"), "WT": ("NETC", "SNFH", "ET")}
    )
    assert labels_of(nested, regions=True) == {
        "labels": {"background": 0, "WT": [1, 2, 3], "TC": [1, 3], "ET": [3]},
        "regions_class_order": [2, 1, 3],  # what is left of each region without the next
    }
    plain = {"labels": {name: value for value, name in enumerate(BRATS)}}
    assert labels_of(nested, regions=False) == plain
    assert trained_names(nested, regions=True) == ["WT", "TC", "ET"]
    apart = Segmentation(BRATS, {"a": ("NETC", "SNFH"), "b": ("SNFH", "ET")})
    unsaid = Segmentation(BRATS, {"a": ("NETC", "SNFH"), "b": ("SNFH",)})
    for task in (apart, unsaid, Segmentation(BRATS)):
        assert labels_of(task, regions=True) == plain


def test_label_0_is_the_background_whatever_the_data_call_it():
    task = Segmentation(("healthy", "oedema", "core"), {"all": ("oedema", "core")})
    assert labels_of(task, regions=False) == {"labels": {"background": 0, "oedema": 1, "core": 2}}
    nested = Segmentation(task.labels, {**task.regions, "core": ("core",)})
    assert labels_of(nested, regions=True)["labels"] == {
        "background": 0,
        "all": [1, 2],
        "core": [2],
    }
    assert trained_names(task, regions=False) == ["oedema", "core"]


@pytest.mark.parametrize("name", ["ignore", "background"])
def test_a_name_that_means_something_else_to_nnunet_is_refused_before_anything_trains(
    mritk, words, tmp_path, name
):
    message = rf"{name!r} of the data has a meaning of its own in nnU-Net .*; give it another name"
    for task in (
        Segmentation(("healthy", name)),
        Segmentation(("healthy", "a", "b"), {name: ("a", "b"), "core": ("b",)}),
    ):
        with pytest.raises(UsageError, match=message):
            labels_of(task, regions=True)
    # A region is not told where labels are trained.
    labels_of(task, regions=False)
    command = words()  # and without nnU-Net, which is looked for later
    plugin = PLUGIN.replace('("background", "rim"', f'("healthy", "{name}"')
    (tmp_path / "balls.py").write_text(plugin.replace('"rim"', f'"{name}"'))
    ended = mritk(*command)
    assert ended.code == 3
    assert f"{name!r} of the data has a meaning of its own in nnU-Net" in ended.err
    assert not list((tmp_path / "results").rglob("*.nii.gz"))


LOG = """
2026-11-28 08:39:25.618685: Epoch 0
2026-11-28 08:39:25.618812: Current learning rate: 0.01
2026-11-28 08:39:31.143320: train_loss 0.4786
2026-11-28 08:39:31.143545: val_loss -0.3704
2026-11-28 08:39:31.143596: Pseudo dice [np.float32(0.0098), np.float32(0.0), np.float32(nan)]
2026-11-28 08:39:31.143652: Epoch time: 5.53 s
2026-11-28 08:39:31.143699: Yayy! New best EMA pseudo Dice: 0.006599999964237213
2026-11-28 08:39:31.776920: Epoch 1
2026-11-28 08:39:31.776920: train_loss 0.1
"""


def test_the_log_of_nnunet_is_read_as_it_writes_it():
    found = epochs_in(LOG.splitlines(), 5, ("WT", "TC", "ET"))
    (epoch,) = found.values()  # the second is not complete
    assert (epoch.epoch, epoch.train_loss, epoch.val_loss) == (1, 0.4786, -0.3704)
    assert epoch.extra == {"pseudo dice[WT]": 0.0098, "pseudo dice[TC]": 0.0}
    assert (epoch.selection, epoch.seconds) == (pytest.approx(0.0049), 5.53)


@pytest.mark.parametrize(
    ("written", "number"),
    [("8e-05", 8e-05), ("np.float32(1e-04)", 1e-04), ("inf", math.inf), ("1", 1.0), ("-0.5", -0.5)],
)
def test_numbers_are_read_however_python_writes_them(written, number):
    log = LOG.replace("0.01\n", f"{written}\n").replace("np.float32(0.0)", written)
    (epoch,) = epochs_in(log.splitlines(), 5, ("WT", "TC", "ET")).values()
    assert epoch.learning_rate == number
    assert epoch.extra["pseudo dice[TC]"] == number


def test_a_checkpoint_is_there_whole_or_not_at_all(tmp_path):
    """The trainer that is written for nnU-Net, on a stand-in that dies while it writes."""
    write_trainer(NnunetRecipe(), 0, tmp_path)
    text = (tmp_path / "MritkTrainer.py").read_text()
    body = text[text.index("class MritkTrainer") :]

    class Base:
        def save_checkpoint(self, filename):
            Path(filename).write_text("half")
            if self.dies:
                raise KeyboardInterrupt
            Path(filename).write_text("whole")

    names = {"Base": Base, "os": os, "torch": torch}
    exec(body, names)
    trainer, path = object.__new__(names["MritkTrainer"]), tmp_path / "checkpoint_latest.pth"
    trainer.dies = False
    trainer.save_checkpoint(str(path))
    trainer.dies = True
    with pytest.raises(KeyboardInterrupt):
        trainer.save_checkpoint(str(path))
    assert path.read_text() == "whole"


def test_keys_of_the_protocol_are_in_the_fingerprint_and_the_machines_are_not(tmp_path):
    registry = Registry.load(environ={})
    path = tmp_path / "own.toml"

    def fingerprint(more):
        path.write_text(PROTOCOL + more)
        return find_protocol(str(path), registry).fingerprint

    plain = fingerprint("")
    for more in ('configuration = "2d"\n', "mirroring = false\n", 'regions = "labels"\n'):
        assert fingerprint(more) != plain
    assert fingerprint("workers = 2\nhours = 3\n") == plain
    for name in ("nnunet", "nnunet_small"):
        assert find_protocol(name, registry).method == "nnunet"
    with pytest.raises(ValueError, match="epochs must be at least 1"):
        NnunetRecipe(epochs=0)
    with pytest.raises(ValueError, match="trainer must be the name of a class"):
        NnunetRecipe(trainer="a b")


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
