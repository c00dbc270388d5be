"""The methods and protocols that come with mritk."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mritk.protocol.protocol import read_protocol
from mritk.protocol.recipe import Probe, Recipe
from mritk.protocol.tomltext import TomlText
from mritk_finetune import PROTOCOLS, mritk_methods, mritk_protocols

METHODS = {method.name: method for method in mritk_methods()}


def stock(name):
    texts = {record.name: record.text() for record in mritk_protocols()}
    return read_protocol(name, TomlText(texts[name], name), METHODS.__getitem__)


def test_there_are_two_methods_and_their_parameters():
    assert {name: method.schema for name, method in METHODS.items()} == {
        "finetune": Recipe,
        "linear_probe": Probe,
    }
    assert all(method.uses_backbone and method.summary for method in METHODS.values())


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_stock_protocol_is_valid_and_selects_on_validation(name):
    protocol = stock(name)
    assert protocol.selection.on == "val"
    assert protocol.summary == PROTOCOLS[name], "the listing and the file say the same"


def test_the_standard_protocol_is_the_recipe_of_the_manual():
    protocol = stock("standard")
    head, everything = protocol.parameters.stages
    assert (protocol.image_size, protocol.augmentation) == (224, "affine")
    assert (head.train_last, everything.train_last) == (0.0, 1.0)
    assert everything.backbone_learning_rate < everything.learning_rate
    assert everything.early_stopping == 8
    assert protocol.parameters.label_smoothing == 0.1
    assert protocol.parameters.class_weights == "balanced"


def test_the_quick_protocol_is_small():
    protocol = stock("quick")
    assert protocol.image_size == 96
    assert sum(stage.epochs for stage in protocol.parameters.stages) <= 12


def test_the_linear_probe_has_no_augmentation():
    assert stock("linear_probe").augmentation == "none"
    assert stock("linear_probe").method == "linear_probe"


def test_lpft_solves_the_head_first_and_then_trains_everything_in_small_steps():
    protocol = stock("lpft")
    (everything,) = protocol.parameters.stages
    assert protocol.parameters.head_start == "probe"
    assert everything.train_last == 1.0
    assert everything.learning_rate < stock("standard").parameters.stages[1].learning_rate
    # What the probe has fitted: the plain loss on features with the stored statistics.
    assert protocol.parameters.label_smoothing == 0
    assert protocol.parameters.class_weights == "none"
    assert everything.batch_norm == "frozen"


def test_stock_protocols_differ_in_their_fingerprints():
    assert len({stock(name).fingerprint for name in PROTOCOLS}) == len(PROTOCOLS)


def test_listing_methods_and_protocols_needs_no_torch():
    code = (
        "import sys, mritk_finetune as plugin\n"
        "list(plugin.mritk_methods())\n"
        "[record.text() for record in plugin.mritk_protocols()]\n"
        "sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
