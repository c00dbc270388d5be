"""One recipe with each of several values of a key."""

from __future__ import annotations

import json
from datetime import date

import pytest

from mritk.errors import ProtocolError, UsageError
from mritk.plugins.registry import Registry
from mritk.protocol.variation import changed, parse_vary, variations, varied_name
from mritk.store.folder import ResultsFolder
from mritk.study.benchmark import Benchmark, find_protocol


def test_every_combination_of_the_values_is_one_change():
    vary = {"split": {"shots": [5, 10]}, "image_size": [96, "native"]}
    assert variations(vary) == [
        {"split.shots": 5, "image_size": 96},
        {"split.shots": 5, "image_size": "native"},
        {"split.shots": 10, "image_size": 96},
        {"split.shots": 10, "image_size": "native"},
    ]
    assert variations({}) == [{}], "without keys there is the protocol itself"


def test_a_change_reaches_into_tables_and_leaves_the_rest_and_its_source_alone():
    source = {"image_size": 96, "split": {"folds": 5, "shots": 0}}
    found = changed(source, {"split.shots": 5, "parameters.batch_size": 8})
    assert found == {
        "image_size": 96,
        "split": {"folds": 5, "shots": 5},
        "parameters": {"batch_size": 8},
    }
    assert source == {"image_size": 96, "split": {"folds": 5, "shots": 0}}


def test_a_varied_protocol_is_named_after_what_was_changed():
    changes = {"split.shots": 5, "image_size": 96}
    assert varied_name("quick", changes) == "quick[shots=5, image_size=96]"
    assert varied_name("quick", {}) == "quick"


def test_a_varied_protocol_is_the_one_that_has_these_values_in_its_text(tmp_path):
    registry = Registry.load(environ={})
    (tmp_path / "mine.toml").write_text('method = "linear_probe"\n[split]\nshots = 5\n')
    written = find_protocol(str(tmp_path / "mine.toml"), registry)
    (tmp_path / "other.toml").write_text('method = "linear_probe"\n')
    varied = find_protocol(str(tmp_path / "other.toml"), registry, {"split.shots": 5})
    assert varied.fingerprint == written.fingerprint
    assert varied.name == "other[shots=5]"


# -- the option --------------------------------------------------------------------------------


def test_values_of_the_option_are_toml_or_words():
    assert parse_vary(["split.shots=5, 10", "copies=keep,drop", "deterministic=true"]) == {
        "split.shots": [5, 10],
        "copies": ["keep", "drop"],
        "deterministic": [True],
    }
    tables = parse_vary(["penalties=[0.1, 1.0],[10.0]", "split.shots=5", "split.shots=10,all"])
    assert tables == {"penalties": [[0.1, 1.0], [10.0]], "split.shots": [5, 10, "all"]}


@pytest.mark.parametrize("option", ["split.shots", "=5", "split.shots=", "", "k=,", "k=] #"])
def test_an_option_without_key_or_values_is_refused(option):
    with pytest.raises(UsageError, match=r"--vary takes KEY=VALUE,VALUE|has no value"):
        parse_vary([option])


@pytest.mark.parametrize("value", [5, "keep", []])
def test_a_key_without_alternatives_is_refused(value):
    with pytest.raises(UsageError, match=r"split\.x needs a list of values"):
        variations({"split": {"x": value}})


def test_a_key_of_something_that_is_no_table_is_refused():
    with pytest.raises(UsageError, match="method is not a table"):
        changed({"method": "finetune"}, {"method.x": 1})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split.shot": 5}, "unknown key 'shot'; did you mean 'shots'"),
        ({"split.shots": "five"}, "split.shots: input should be a valid integer"),
        ({"split.shots": -1}, "shots must be at least 0"),
    ],
)
def test_a_value_that_the_protocol_does_not_take_is_refused(changes, message):
    with pytest.raises(ProtocolError, match=message):
        find_protocol("quick", Registry.load(environ={}), changes)


# -- in a run ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_trains_once_for_each_value_and_makes_a_row_of_each(run_toy, mritk, tmp_path):
    assert run_toy("--seeds", 1, "--vary", "split.shots=4,8").code == 0
    trials = list(ResultsFolder(tmp_path / "results").trials())
    assert {t.protocol: len(t.splits["train"]) for t in trials} == {
        "fast[shots=4]": 12,
        "fast[shots=8]": 24,
    }
    board = json.loads(mritk("leaderboard", tmp_path / "results", "--json").out)
    (table,) = board["tables"]
    assert {row["protocol"] for row in table["rows"]} == {"fast[shots=4]", "fast[shots=8]"}


def test_a_benchmark_file_varies_by_a_table(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text("[vary]\nsplit.copies = ['keep', 'drop']\nimage_size = [64]\n")
    assert Benchmark.from_file(file).vary == {
        "split": {"copies": ["keep", "drop"]},
        "image_size": [64],
    }


@pytest.mark.slow
def test_workers_train_varied_protocols_too(run_toy, tmp_path):
    assert run_toy("--seeds", 1, "--vary", "split.shots=4,8", "--jobs", 2).code == 0
    assert len(list(ResultsFolder(tmp_path / "results").trials())) == 2


# -- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "blamed"),
    [
        ({"split.shot": 2}, "--vary split.shot=2, for {}: split.shot: unknown key 'shot'"),
        ({"split.val_fraction": 0}, "--vary split.val_fraction=0, for {}: split: val_fraction"),
        ({"spilt.shots": 2}, "--vary spilt.shots=2, for {}: spilt: unknown key 'spilt'"),
        (
            {"parameters.stages": [{"epoch": 1}]},
            '--vary parameters.stages=[{{"epoch": 1}}], for {}',
        ),
        ({"split.shots": date(2020, 1, 1)}, '--vary split.shots="2020-01-01", for {}'),
        ({"selection.by": "luck"}, "--vary selection.by=luck, for {}: selection.by: unknown"),
    ],
)
def test_an_error_names_what_was_varied_or_the_line_of_what_was_not(tmp_path, changes, blamed):
    file = tmp_path / "mine.toml"
    file.write_text('method = "finetune"\n[split]\nseed = 1\n')
    with pytest.raises(ProtocolError) as error:
        find_protocol(str(file), Registry.load(environ={}), changes)
    assert str(error.value).startswith(blamed.format(file))


@pytest.mark.parametrize(
    ("table", "changes", "blamed"),
    [
        ("split]\nshots = 5", {"split.train_patients": 3}, "--vary split.train_patients=3, for {}"),
        ("parameters]\nbatch_size = 32", {"parameters.batch_size": 0}, "--vary parameters.batch_s"),
        ("split]\ntest_fraction = 20", {"split.shots": 2}, "{}, line 3: split: test_fraction must"),
        ("selection]", {"split.seed": 1, "split.val_fraction": 0}, "--vary split.val_fraction=0, "),
        ("split]", {"split.shots": 2, "split.train_patients": 3}, "--vary split.shots=2 --vary sp"),
    ],
)
def test_what_refuses_a_whole_table_names_what_was_varied_in_it(tmp_path, table, changes, blamed):
    file = tmp_path / "mine.toml"
    file.write_text(f'method = "finetune"\n[{table}\n')
    with pytest.raises(ProtocolError) as error:
        find_protocol(str(file), Registry.load(environ={}), changes)
    assert str(error.value).startswith(blamed.format(file))
    assert ("(with --vary split.shots=2)" in str(error.value)) is ("line" in blamed)
