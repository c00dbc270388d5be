"""The protocol: one recipe for all backbones, and a fingerprint that proves it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

import pytest

from mritk import Method
from mritk.errors import ProtocolError
from mritk.protocol.protocol import Protocol, describe_method, differences, read_protocol
from mritk.protocol.recipe import Head, HiddenLayer, Probe, Recipe, Stage
from mritk.protocol.tomltext import TomlText
from mritk.splits.split_rule import SplitRule

TEXT = """
method = "finetune"
image_size = 64
augmentation = "affine"
summary = "short"
normalise_again = ["net"]

[split]
folds = 4

[parameters]
batch_size = 8

[parameters.head]
dropout = 0.25
hidden = [{width = 16, dropout = 0.5}]

[[parameters.stages]]
name = "head"
epochs = 1
optimizer = "adam"
learning_rate = 1e-3

[[parameters.stages]]
name = "all"
epochs = 2
optimizer = "sgd"
learning_rate = 1.0
"""


def find_method(name: str) -> Method:
    kinds = {"finetune": Recipe, "linear_probe": Probe}
    return Method(name, fit=lambda setup: pytest.fail("trained"), parameters=kinds[name])


def read(text: str, name: str = "test") -> Protocol:
    return read_protocol(name, TomlText(text, f"{name}.toml"), find_method)


def complaint(text: str) -> str:
    with pytest.raises(ProtocolError) as caught:
        read(text)
    return str(caught.value)


def test_a_text_becomes_a_protocol():
    protocol = read(TEXT)
    assert (protocol.name, protocol.method, protocol.image_size) == ("test", "finetune", 64)
    assert (protocol.augmentation, protocol.summary) == ("affine", "short")
    assert protocol.split.folds == 4
    assert protocol.parameters.batch_size == 8
    assert protocol.parameters.head == Head(dropout=0.25, hidden=(HiddenLayer(16, 0.5),))
    assert [stage.name for stage in protocol.parameters.stages] == ["head", "all"]


def test_only_the_method_must_be_given():
    protocol = read('method = "linear_probe"')
    assert protocol.parameters == Probe()
    assert (protocol.image_size, protocol.volume_size) == (224, None)


def test_native_is_the_size_that_each_backbone_declares():
    protocol = read('method = "finetune"\nimage_size = "native"\nvolume_size = 32')
    assert (protocol.image_size, protocol.volume_size) == (None, 32)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("imagesize = 3", "line 2: imagesize: unknown key 'imagesize'; did you mean 'image_size'"),
        ("parameters = 3", "line 2: parameters: must be a table"),
        ("image_size = 0", "line 2: image_size: must be at least 1, or 'native'"),
        ("image_size = 1000000000", "line 2: image_size: must be at most 16384"),
        ("volume_size = 4096", "line 2: volume_size: must be at most 2048"),
        ("volume_size = -1", "line 2: volume_size: must be at least 1, or 'native'"),
        ("[selection]\nby = 'rsme'", "selection.by: unknown metric 'rsme'; did you mean 'rmse'"),
        ("[selection]\nby = 'MCC'", "selection.by: unknown metric 'MCC'; did you mean 'mcc'"),
        ("[selection]\nby = 'lesion_f1'", "(metrics of plugins cannot select)"),
        ("[selection]\nby = 'bias'", "line 3: selection.by: bias has no direction"),
        ("[selection]\non = 'test'", "line 3: selection.on: input should be 'val' or 'last'"),
        ("[split]\ntest_fraction = 0.9", "split: test_fraction must be in (0, 0.5]"),
        ("precision = 'half'", "line 2: precision: input should be 'auto', 'float32'"),
        ("[parameters]\nbatchsize = 3", "line 3: parameters.batchsize: unknown key"),
        ("[[parameters.stages]]\nepochs = 0", "epochs must be at least 1"),
    ],
)
def test_a_mistake_is_named_with_its_line(text, message):
    assert message in complaint(f'method = "finetune"\n{text}')


def test_a_size_that_is_neither_a_number_nor_native_is_named_with_its_line():
    assert "line 2: image_size: " in complaint('method = "finetune"\nimage_size = "big"')


def test_a_protocol_without_a_method_is_refused():
    assert "method" in complaint("image_size = 3")


def test_a_learning_rate_that_is_no_number_is_refused():
    text = 'method = "finetune"\n[[parameters.stages]]\nepochs = 1\nlearning_rate = nan'
    assert "learning_rate" in complaint(text)


WORDS = {f"split.{name}": kind for name, kind in get_type_hints(SplitRule).items()}


def mutations(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each leaf's path, and ``value`` with another value in that leaf alone."""
    if is_dataclass(value):
        for field in fields(value):
            at = f"{path}.{field.name}".lstrip(".")
            for name, changed in mutations(getattr(value, field.name), at):
                yield name, replace(value, **{field.name: changed})
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            for name, changed in mutations(item, f"{path}[{i}]"):
                yield name, (*value[:i], changed, *value[i + 1 :])
        if len(value) > 1:
            yield f"{path} without its last", value[:-1]
            yield f"{path} turned round", value[::-1]
    else:
        words = get_args(WORDS.get(path))
        yield path, next((word for word in words if word != value), None) or other_than(value)


def other_than(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 if value else 0.125
    return 7 if value is None else f"{value}x"


# What names things for people, is an axis of the trial, or changes numbers by rounding at most.
TABLES = {
    "parameters",
    "normalise_again",
    "split",
    "preprocessing",
    "selection",
    "head",
    "hidden",
    "stages",
}
OUTSIDE = {
    "name",
    "augmentation",
    "summary",
    "parameters.stages[0].name",
    "parameters.stages[1].name",
    "parameters.eval_batch_size",
}
CHANGED = dict(mutations(read(TEXT)))


def test_the_mutations_reach_every_field_of_every_level():
    leaves = {name.rpartition(".")[2] for name in CHANGED}
    for kind in (Protocol, Recipe, Head, HiddenLayer, Stage):
        missing = {field.name for field in fields(kind)} - leaves
        assert missing <= TABLES
    assert {"split.seed", "selection.by", "parameters.stages[1].warmup"} <= set(CHANGED)
    assert len(CHANGED) > 50


@pytest.mark.parametrize("leaf", sorted(CHANGED.keys() - OUTSIDE))
def test_the_fingerprint_changes_with(leaf):
    assert CHANGED[leaf].fingerprint != read(TEXT).fingerprint


@pytest.mark.parametrize("leaf", sorted(OUTSIDE))
def test_the_fingerprint_does_not_change_with(leaf):
    assert CHANGED[leaf] != read(TEXT)
    assert CHANGED[leaf].fingerprint == read(TEXT).fingerprint


def test_no_two_changes_have_one_fingerprint():
    prints = [CHANGED[leaf].fingerprint for leaf in CHANGED if leaf not in OUTSIDE]
    assert len(set(prints)) == len(prints)


def test_the_fingerprint_does_not_change_with_the_order_of_keys():
    tables = TEXT.split("\n\n")
    turned = "\n\n".join([*tables[:1], *tables[3:4], *tables[4:], tables[2], tables[1]])
    lines = turned.splitlines()
    first = lines.index('method = "finetune"')
    lines[first], lines[first + 1] = lines[first + 1], lines[first]
    assert lines != TEXT.splitlines()
    assert read("\n".join(lines)).fingerprint == read(TEXT).fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("learning_rate = 1.0", "learning_rate = 1"),
        ("learning_rate = 1e-3", "learning_rate = 0.001"),
        ("[split]\nfolds = 4", "[split]\nfolds = 4\nseed = 0  # the default"),
        ("image_size = 64", "split.folds = 4\nimage_size = 0x40"),
        ('"finetune"', "'finetune'"),
    ],
)
def test_the_fingerprint_does_not_change_with_the_spelling(one, other):
    assert one in TEXT
    text = TEXT.replace(one, other)
    if other.startswith("split."):
        text = text.replace("[split]\nfolds = 4\n", "")
    assert read(text).fingerprint == read(TEXT).fingerprint


def test_the_fingerprint_does_not_change_with_numbers_given_by_python():
    one = Protocol("one", "finetune", Recipe((Stage(1, learning_rate=1),)))
    other = Protocol("one", "finetune", Recipe((Stage(1, learning_rate=1.0),)))
    assert one == other
    assert one.fingerprint == other.fingerprint


def test_the_fingerprint_is_the_sha256_of_json_with_sorted_keys():
    import hashlib

    protocol = read(TEXT)
    text = protocol.canonical_json()
    assert json.loads(text) == json.loads(json.dumps(protocol.canonical()))
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert protocol.fingerprint == hashlib.sha256(text.encode()).hexdigest()


def test_differences_name_key_and_both_values():
    one = {"a": 1, "b": {"c": [1, 2]}, "same": 0}
    other = {"a": 2, "b": {"c": [1, 3, 4]}, "same": 0}
    assert list(differences(one, other)) == ["a: 1 | 2", "b.c[1]: 2 | 3", "b.c[2]: absent | 4"]
    assert list(differences(one, one)) == []


@pytest.mark.parametrize("value", [None, [], {}], ids=str)
def test_a_field_that_is_empty_differs_from_one_that_is_absent(value):
    """Otherwise two fingerprints would differ in nothing that a table could name."""
    assert list(differences({"a": value}, {})) != []


@pytest.mark.parametrize("leaf", sorted(CHANGED.keys() - OUTSIDE))
def test_a_difference_is_printed_for_every_field_that_changes_the_fingerprint(leaf):
    one, other = (json.loads(p.canonical_json()) for p in (read(TEXT), CHANGED[leaf]))
    lines = list(differences(one, other))
    assert lines
    assert all(line.startswith(leaf.split(" ")[0]) for line in lines)


def test_a_parameter_without_a_default_is_described_as_required():
    @dataclass(frozen=True)
    class Parameters:
        name: str

    method = Method("own", fit=print, parameters=Parameters)
    assert describe_method(method) == [("name", "(required)")]


def test_a_method_is_described_by_its_parameters_and_defaults():
    shown = dict(describe_method(find_method("linear_probe")))
    assert shown == {
        "penalties": (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0),
        "class_weights": "none",
        "eval_batch_size": 256,
    }
    assert dict(describe_method(find_method("finetune")))["stages"] == (Stage(epochs=10),)
