"""What nnU-Net is told: version, classes, keys; and how its log and checkpoint are read."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import torch

from mritk import Segmentation, UsageError
from mritk.plugins.registry import Registry
from mritk.study.benchmark import find_protocol
from mritk_nnunet.epochs import epochs_in
from mritk_nnunet.recipe import NnunetRecipe
from mritk_nnunet.regions import labels_of, trained_names
from mritk_nnunet.trainer_file import write_trainer
from tests.plugins.nnunet.conftest import PLUGIN, PROTOCOL

pytestmark = pytest.mark.slow


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
