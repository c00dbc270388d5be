"""The other commands: list, show, leaderboard, completion, help."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import click
import numpy as np
import pytest

from mritk.cli.hints import WRITING
from mritk.cli.list import NOUNS
from mritk.cli.main import cli
from mritk.store.folder import ResultsFolder


def commands():
    return sorted(cli.commands.items())


@pytest.mark.parametrize(("name", "command"), commands(), ids=[name for name, _ in commands()])
def test_every_command_and_option_has_help(name, command):
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts}"


@pytest.mark.parametrize(
    ("noun", "names"),
    [
        ("backbones", ["efficientnet_lite0@imagenet", "small_cnn@scratch", "timm:NAME"]),
        ("backbones", ["torchvision:NAME", "radimagenet_densenet121", "densenet121@radimagenet"]),
        ("backbones", ["convnext_tiny@imagenet", "efficientnetv2_s@imagenet", "ARCH@file:PATH"]),
        ("datasets", ["phantom", "folder:PATH"]),
        ("augmentations", ["none", "flip", "affine"]),
        ("methods", ["finetune", "linear_probe"]),
        ("protocols", ["quick", "standard", "linear_probe"]),
        ("metrics", ["balanced_accuracy", "macro_auroc", "mcc", "log_loss", "mae"]),
    ],
)
def test_list_shows_names_and_who_provides_them(mritk, noun, names):
    rows = {row["name"]: row for row in json.loads(mritk("list", noun, "--json").out)}
    assert set(names) <= set(rows)
    assert all(row["from"] and row["summary"] for row in rows.values())
    text = mritk("list", noun).out
    assert all(name in text for name in names)


@pytest.mark.parametrize("noun", NOUNS)
def test_list_says_of_everything_what_it_is(mritk, noun):
    for row in json.loads(mritk("list", noun, "--json").out):
        opening, _, told = row["summary"].partition("): ")
        assert (told if noun == "metrics" else opening).strip(), row["name"]


def test_show_a_backbone_tells_its_input_contract_and_licence(mritk):
    found = json.loads(mritk("show", "efficientnet_lite0@imagenet", "--json").out)["backbone"]
    assert found["input"]["size"] == 224
    assert found["input"]["mean"] == [0.5, 0.5, 0.5]
    assert found["weights"]["license"] == "apache-2.0"
    assert found["weights"]["sha256"]


def test_show_a_protocol_tells_every_field_and_the_fingerprint(mritk):
    found = json.loads(mritk("show", "quick", "--json").out)["protocol"]
    assert found["parameters"]["batch_size"] == 16
    assert len(found["fingerprint"]) == 64
    at_their_default = {"mixup": 0.0, "head_start": "random"}
    assert at_their_default.items() <= found["parameters"].items()
    assert found["parameters"]["stages"][0]["layer_decay"] == 1.0
    assert found["preprocessing"] == {"grey": False, "blur": 0.0}
    assert mritk("show", "quick").out.count("layer_decay = 1.0") == 2


def test_show_a_method_tells_its_parameters(mritk):
    found = json.loads(mritk("show", "finetune", "--json").out)["method"]
    assert found["parameters"]["label_smoothing"] == "0.0"


def test_a_name_that_means_two_things_shows_both(mritk):
    assert set(json.loads(mritk("show", "linear_probe", "--json").out)) == {"method", "protocol"}


@pytest.mark.slow
def test_show_a_trial_by_the_start_of_its_id_or_its_path(mritk, run_toy, tmp_path):
    run_toy("--seeds", 1)
    (path,) = (tmp_path / "results" / "trials").glob("*.h5")
    by_id = json.loads(mritk("show", path.stem[:6], "-o", tmp_path / "results", "--json").out)
    by_path = json.loads(mritk("show", path, "--json").out)
    assert by_id == by_path
    assert by_id["status"] == "finished"
    assert by_id["test"]["samples"] == 18
    assert by_id["provenance"]["plugins"]["architecture"].startswith("toy.py sha256:")
    shown = mritk("show", path).out
    assert "macro_auroc" in shown
    assert not re.search(r"[0-9a-f]{16}:[0-9a-f]{16}", shown)
    assert re.search(r"provenance\.reader .*\d+ source files [0-9a-f]{12}", shown)


@pytest.mark.slow
def test_show_a_failed_trial_tells_why(mritk, run_toy, tmp_path, monkeypatch):
    from mritk.train.stage_run import StageRun

    def fail(self, epoch):
        raise RuntimeError("planted")

    monkeypatch.setattr(StageRun, "batches", fail)
    run_toy("--seeds", 1)
    (path,) = (tmp_path / "results" / "trials").glob("*.h5")
    assert json.loads(mritk("show", path, "--json").out)["failure"]["message"] == "planted"


def test_no_hint_offers_an_option_that_writes_files(mritk):
    commands = list(cli.commands.values())
    known = {option for command in commands for p in command.params for option in p.opts}
    subcommands = [c for command in commands for c in getattr(command, "commands", {}).values()]
    known |= {option for command in subcommands for p in command.params for option in p.opts}
    assert known >= WRITING
    for command, typed in (
        ("leaderboard", "--updated"),
        ("leaderboard", "--dupdate"),
        ("doctor", "--fixx"),
        ("run", "--keep-model"),
        ("report", "--outputs"),
    ):
        ended = mritk(command, typed, "x")
        assert ended.code == 2
        assert not any(option in ended.err.replace(typed, "") for option in WRITING)
    assert "--metric" in mritk("leaderboard", "--metricc", "x").err


def test_show_something_that_does_not_exist(mritk):
    ended = mritk("show", "nothing_like_it")
    assert ended.code == 2
    assert "unknown name 'nothing_like_it'" in ended.err
    assert "no trial in mritk-results; use --results for another folder;" in ended.err
    assert "did you mean densenet121" in mritk("show", "densnet121@imagenet").err


@pytest.mark.slow
def test_leaderboard_formats_metrics_and_grouping(mritk, run_toy, tmp_path):
    run_toy("--seeds", 2)
    results = tmp_path / "results"
    assert mritk("leaderboard", results, "--format", "latex").out.count(r"\toprule") == 1
    assert mritk("leaderboard", results, "--format", "csv").out.startswith("dataset,")
    assert "<table>" in mritk("leaderboard", results, "--format", "html").out
    only = mritk("leaderboard", results, "--metric", "mcc").out
    assert "MCC ↑" in only
    assert "AUROC" not in only
    assert mritk("leaderboard", results, "--group-by", "seed").out.count("| backbone") == 2
    assert mritk("leaderboard", results, "--json").out == (
        mritk("leaderboard", results, "--format", "json").out
    )


@pytest.mark.slow
def test_leaderboard_refuses_what_it_does_not_know(mritk, run_toy, tmp_path):
    run_toy("--seeds", 1)
    ended = mritk("leaderboard", tmp_path / "results", "--metric", "auroc")
    assert ended.code == 2
    assert "did you mean macro_auroc" in ended.err
    assert (
        "cannot group by 'sead'"
        in mritk("leaderboard", tmp_path / "results", "--group-by", "sead").err
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(mritk, shell):
    assert "_MRITK_COMPLETE" in mritk("completion", shell).out


def test_the_bash_script_is_valid(mritk, tmp_path):
    script = tmp_path / "mritk.bash"
    script.write_text(mritk("completion", "bash").out)
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_no_arguments_show_help(mritk):
    ended = mritk()
    assert ended.code == 2
    assert "Usage: mritk" in ended.out + ended.err


def test_a_trial_is_shown_with_its_temperature_or_why_it_has_none(mritk, make_record, tmp_path):
    """Of validation samples that are all right, none is the best."""
    path = ResultsFolder(tmp_path).write(make_record())
    told = json.loads(mritk("show", path, "--json").out)["test, calibrated on val"]
    assert told["temperature"].startswith("nan: all of the 2 validation samples are correct")


def test_what_is_undefined_names_classes_not_their_numbers(mritk, make_record, tmp_path):
    record = make_record()
    for part in record.predictions.values():
        part.score = np.tile(np.float32([0, 1]), (len(part.id), 1))
    ResultsFolder(tmp_path / "results").write(record)
    for command in (("show", "--results"), ("verify", "-o")):
        ended = mritk(command[0], record.id[:8], command[1], tmp_path / "results")
        assert f"nan: class {record.task.classes[0]} is never predicted" in ended.out
        assert "class number" not in ended.out


def test_the_home_folder_may_stand_behind_an_option(monkeypatch, tmp_path):
    """Shells leave ``~`` as it is in ``--results=~/results``."""
    from mritk.cli.app import UserPath

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert UserPath().convert("~/results", None, None) == tmp_path / "results"
    assert UserPath().convert("results", None, None) == Path("results")


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("leaderboard", "--json --format csv"),
        ("leaderboard --diff {0}", "--json --format plain"),
        ("compare {0}", "--json --format github"),
        ("differences", "--json --format csv"),
        ("rescore", "--csv --json"),
    ],
)
def test_two_formats_at_once_are_refused(mritk, make_record, tmp_path, command, flags):
    ResultsFolder(tmp_path).write(make_record())
    words = command.format(tmp_path).split()
    ended = mritk(*words, tmp_path, *flags.split())
    assert ended.code == 2
    assert "ask for two formats; remove one of them" in ended.err
    assert mritk("show", "quick", "--toml", "--json").code == 2
    assert mritk("leaderboard", tmp_path, "--json", "--format", "json").code == 0


def test_scores_as_csv_hold_no_escapes_of_terminals(mritk, make_record, tmp_path):
    ResultsFolder(tmp_path).write(make_record(id="aaaa", dataset="bands\x1b[31m"))
    ended = mritk("rescore", tmp_path, "--csv")
    assert ended.code == 0
    assert "\x1b" not in ended.out
    assert "bands\\u001b[31m" in ended.out
