"""Fingerprints last: results of an earlier version are compared with those of a later one."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from mritk import packaged_text
from mritk.protocol.protocol import read_protocol
from mritk.protocol.recipe import ADDED_LATER, Recipe, Stage
from mritk.protocol.tomltext import TomlText
from mritk_finetune import PROTOCOLS, mritk_methods

METHODS = {method.name: method for method in mritk_methods()}

STOCK = {
    "quick": "6dfcc50b3bf0ad2b025d0c6d46239fe700c10cb03256baeea136a832d876c6eb",
    "standard": "e667ac04f4b5370da823a6dfadfaff3e0bc772119e0693bcbb56b94fd19e6c3d",
    "lpft": "d1392f33498ee1d5520c805de91161ed18b074081ed8fdec08a3fc5bc1b8cf9e",
    "linear_probe": "1e76da46c11662e69cafa776c08f34c2217838d841057dab8e14f5f43a839c68",
}
# As they were when incomplete batches were left out, and averages, mixing, low-rank updates and the
# like did not exist yet.
BEFORE = {
    "quick": "c12111a47749b6ef7b6e90ee1793f78d8598ece97236eddec9b3fb945a2b1ae2",
    "standard": "6fe8a69ec5b771a387471aaabf32b44fe192439aa65018828fb05186880d1748",
}

IN_STAGES = {
    "unfreeze_every": "1",
    "tune": "'biases'",
    "lora_rank": "4",
    "lora_alpha": "8.0",
    "layer_decay": "0.75",
    "adam_epsilon": "1e-7",
    "plateau_min_delta": "1e-4",
    "plateau_loss": "'objective'",
    "restart_selection": "true",
    "step_factor": "0.9",
    "step_epochs": "5",
}
IN_RECIPES = {
    "class_weights_per": "'sample'",
    "head_start": "'probe'",
    "recalibrate_batch_norm": "true",
    "mixup": "0.2",
    "cutmix": "1.0",
    "average": "0.99",
    "test_time": "'flip'",
    "test_time_views": "4",
}
OLD = """
method = "finetune"

[parameters]
batch_size = 8

[[parameters.stages]]
epochs = 2
"""


def read(text, name="test"):
    return read_protocol(name, TomlText(text, f"{name}.toml"), METHODS.__getitem__)


def with_field(field, value):
    where = "epochs = 2" if field in IN_STAGES else "batch_size = 8"
    return read(OLD.replace(where, f"{where}\n{field} = {value}"))


@pytest.mark.parametrize("name", sorted(STOCK))
def test_a_stock_protocol_has_the_fingerprint_it_had(name):
    """If this fails, old results no longer stand beside new ones: give the protocol a new name."""
    text = packaged_text("mritk_finetune", "protocols", f"{name}.toml")
    assert read(text, name).fingerprint == STOCK[name]


@pytest.mark.parametrize("name", sorted(BEFORE))
def test_results_of_before_are_repeated_by_leaving_incomplete_batches_out(name):
    text = packaged_text("mritk_finetune", "protocols", f"{name}.toml")
    changes = {"parameters.last_batch": "drop"}
    repeated = read_protocol(name, TomlText(text, f"{name}.toml"), METHODS.__getitem__, changes)
    assert repeated.fingerprint == BEFORE[name]
    assert "last_batch" not in repeated.canonical_json()


def test_all_stock_protocols_are_tested_here():
    assert set(STOCK) == set(PROTOCOLS)


def test_the_fields_that_came_later_are_those_tested_here():
    later = {
        kind: {f.name for f in fields(kind) if f.metadata == ADDED_LATER}
        for kind in (Recipe, Stage)
    }
    assert later == {Recipe: set(IN_RECIPES), Stage: set(IN_STAGES)}


@pytest.mark.parametrize("field", [*IN_STAGES, *IN_RECIPES])
def test_a_later_field_changes_the_fingerprint_when_it_is_set(field):
    changed = with_field(field, {**IN_STAGES, **IN_RECIPES}[field])
    assert changed.fingerprint != read(OLD).fingerprint
    assert f'"{field}":' in changed.canonical_json()
    assert f'"{field}":' not in read(OLD).canonical_json()


@pytest.mark.parametrize("kind", [Recipe, Stage])
def test_a_later_field_that_is_set_to_its_default_changes_nothing(kind):
    for field in fields(kind):
        if field.metadata == ADDED_LATER:
            changed = with_field(field.name, json.dumps(field.default))
            assert changed.fingerprint == read(OLD).fingerprint, field.name


def test_no_two_later_fields_give_one_fingerprint():
    settings = {**IN_STAGES, **IN_RECIPES}
    prints = {with_field(*setting).fingerprint for setting in settings.items()}
    assert len(prints) == len(settings)


def test_only_leaving_incomplete_batches_out_is_not_in_the_fingerprint():
    """So it was before there was a choice; what is chosen by default now is written down."""
    made = {kind: with_field("last_batch", f"'{kind}'") for kind in ("drop", "keep", "rollover")}
    written = {k: f'"last_batch":"{k}"' in one.canonical_json() for k, one in made.items()}
    assert written == {"drop": False, "keep": True, "rollover": True}
    assert '"last_batch"' not in made["drop"].canonical_json()
    assert made["rollover"].fingerprint == read(OLD).fingerprint


def test_the_deterministic_form_of_a_protocol_has_a_fingerprint_of_its_own():
    assert replace(read(OLD), deterministic=True).fingerprint != read(OLD).fingerprint
