"""Bad input: one line that says what happened and what to type next, and the right exit code."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

import mritk.cli as mritk_cli
from mritk.store.folder import ResultsFolder


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-b", "tinny"], "unknown backbone 'tinny'; did you mean tiny or tiny_vgg?"),
        (["-b", "tiny@imagenet"], "unknown backbone 'tiny@imagenet'; there is tiny@scratch"),
        (["-b", "tiny", "-d", "bnads"], "unknown dataset 'bnads'; did you mean bands?"),
        (["-b", "tiny", "-d", "bands", "-a", "flop"], "unknown augmentation 'flop'; did you"),
        (["-b", "tiny", "--protocol", "quik"], "unknown protocol 'quik'; did you mean quick?"),
    ],
)
def test_unknown_names_get_near_misses(mritk, toy, arguments, expected):
    ended = mritk("run", "-p", toy, *arguments)
    assert ended.code == 2
    assert expected in ended.err
    assert "mritk list" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["~no_user/b.toml"], "no benchmark file ~no_user/b.toml"),
        (["-b", "tiny", "--protocol", "~no_user/x.toml"], "no protocol file ~no_user/x.toml"),
        (["-b", "tiny@file:~no_user/x.pt"], "no weight file ~no_user/x.pt"),
        (["-b", "tiny", "-d", "~no_user/scans"], "there is no file or folder ~no_user/scans"),
        (["-b", "tiny", "-d", "folder:~no_user/scans"], "no folder ~no_user/scans"),
        (["-p", "~no_user/x.py"], "no plugin file ~no_user/x.py"),
    ],
)
def test_the_home_of_an_unknown_user_is_a_path_that_does_not_exist(mritk, toy, arguments, expected):
    ended = mritk("run", "-p", toy, "-d", "bands", *arguments, "--dry-run")
    assert "Traceback" not in ended.err
    assert expected in ended.err


def test_an_unknown_name_mentions_plugins_that_failed(mritk, toy, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)
    broken = tmp_path / "broken_dist"
    broken.mkdir()
    (tmp_path / "broken_plugin.py").write_text("import no_such_module_anywhere\n")
    info = tmp_path / "broken-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[mritk]\nbroken = broken_plugin\n")
    ended = mritk("run", "-p", toy, "-b", "resnot", "-d", "bands")
    assert "warning: plugin broken 1.2 (broken) failed to load: ModuleNotFoundError" in ended.err
    assert "pip uninstall broken" in ended.err
    assert "failed to load and may provide it: broken 1.2 (broken)" in ended.err
    assert ended.err.count("warning:") == 1, "reported once"


def test_weights_with_a_missing_tensor_are_refused(mritk, toy, fast_protocol, tmp_path):
    import torch

    weights = tmp_path / "tiny.pt"
    torch.save({"0.weight": torch.zeros(8, 3, 3, 3)}, weights)
    ended = mritk(
        *("run", "-p", toy, "-b", f"tiny@file:{weights}", "-d", "bands", "--seeds", 1),
        *("--protocol", fast_protocol, "-o", tmp_path / "results"),
    )
    assert ended.code == 3
    assert "does not fit tiny: 1 of 14 tensors matched, 11 missing (0.bias" in ended.err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"<!doctype html><title>Sign in</title>", "a web page"),
        (None, "no weight file|Google Drive"),
    ],
)
def test_weights_that_nobody_brought_are_refused_before_anything_is_trained(
    mritk, toy, tmp_path, monkeypatch, content, reason
):
    file = tmp_path / "ResNet50.pt"
    monkeypatch.setenv("MRITK_RADIMAGENET", str(tmp_path))
    if content is not None:
        file.write_bytes(content)
    for name in (f"tiny@file:{file}", "resnet50@radimagenet"):
        ended = mritk(
            *("run", "-p", toy, "-b", name, "-b", "tiny@scratch", "-d", "bands", "--seeds", 1),
            *("-o", tmp_path / "results"),
        )
        assert ended.code == 4
        assert re.search(reason, ended.err)
        assert not list((tmp_path / "results").glob("trials/*.h5"))


def test_weights_that_need_a_network_are_refused_before_data_are_opened(
    mritk, tmp_path, toy, monkeypatch
):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(
        "mritk.study.plan.open_datasets", lambda *_: pytest.fail("the data were opened")
    )
    ended = mritk(
        *("run", "-p", toy, "-b", "convnext_tiny@imagenet", "-d", "bands", "--seeds", 1),
        *("--offline", "-o", tmp_path / "results"),
    )
    assert ended.code == 4
    for word in ("model.safetensors", "convnext_tiny.fb_in1k", "hf download"):
        assert word in ended.err
    assert not (tmp_path / "results").exists()


def test_a_results_folder_that_cannot_be_made(mritk, toy, fast_protocol, tmp_path):
    (tmp_path / "file").write_text("in the way")
    ended = mritk(
        *("run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", fast_protocol),
        *("-o", tmp_path / "file" / "results"),
    )
    assert ended.code == 2
    assert "is not writable: Not a directory" in ended.err


@pytest.fixture
def full_disk(monkeypatch):
    """Past a size every write fails, as on a full disk."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # what is compiled must not be cut off
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    @contextmanager
    def full(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return full


@pytest.mark.slow
def test_a_full_disk_leaves_no_half_written_file(run_toy, full_disk, tmp_path):
    run_toy("--seeds", 1)
    before = sorted((tmp_path / "results").rglob("*"))
    with full_disk(20_000):
        ended = run_toy()
    assert ended.code == 3
    assert "mritk: cannot write" in ended.err
    assert "File too large" in ended.err
    assert "Trials already written are safe" in ended.err
    assert sorted((tmp_path / "results").rglob("*")) == before


@pytest.mark.slow
def test_a_diverging_loss_fails_its_trial(run_toy, fast_protocol, tmp_path):
    text = fast_protocol.read_text().replace("learning_rate = 1e-2", "learning_rate = 1e30")
    diverging = "epochs = 2\noptimizer = 'sgd'\nschedule = 'constant'"
    fast_protocol.write_text(text.replace("epochs = 2", diverging))
    ended = run_toy("--seeds", 1)
    assert ended.code == 3
    told = r"loss is \S+ at step \d+ of epoch 2 \(learning rate 1e\+30, gradient norm"
    assert re.search(told, ended.err)
    (trial,) = ResultsFolder(tmp_path / "results").trials()
    assert (trial.status, trial.failure.type) == ("failed", "NonFiniteLoss")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("batch_sise = 8", "line 7: parameters.batch_sise: unknown key 'batch_sise'; did you mean"),
        ("batch_size = '8'", "line 7: parameters.batch_size: input should be a valid integer"),
        ("batch_size = 8.5", "line 7: parameters.batch_size:"),
        ("class_weights = 'even'", "line 7: parameters.class_weights: input should be 'none' or"),
        ("batch_size = 0", "batch sizes must be at least 1"),
    ],
)
def test_a_protocol_file_with_a_wrong_key_names_line_and_near_miss(
    mritk, toy, tmp_path, line, expected
):
    protocol = tmp_path / "mine.toml"
    protocol.write_text(
        f'method = "finetune"\nimage_size = 32\n\n[split]\n\n[parameters]\n{line}\n'
        "[[parameters.stages]]\nepochs = 1\n"
    )
    ended = mritk("run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", protocol)
    assert ended.code == 2
    assert str(protocol) in ended.err
    assert expected in ended.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metod = 'finetune'", "line 1: metod: unknown key 'metod'; did you mean 'method'?"),
        ("image_size = 32", "method: field required"),
        ("method = 'fintune'", "unknown method 'fintune'; did you mean finetune"),
        ("method = ", "is not valid TOML"),
        ("method = 'finetune'\n[split]\nval_fraction = 0.9", "val_fraction must be in (0, 0.5]"),
        ("method = 'finetune'\n[split]\nseeed = 1", "line 3: split.seeed: unknown key"),
        (
            "method = 'finetune'\n[selection]\nby = 'acuracy'",
            "line 3: selection.by: unknown metric",
        ),
        (
            "method = 'finetune'\n[[parameters.stages]]\nepochs = 1\n[[parameters.stages]]\n"
            "epochs = 1\nlearning_rat = 0.1",
            "line 6: parameters.stages.learning_rat: unknown key 'learning_rat'; did you mean",
        ),
    ],
)
def test_other_mistakes_in_a_protocol_file(mritk, toy, tmp_path, text, expected):
    protocol = tmp_path / "mine.toml"
    protocol.write_text(text)
    ended = mritk("run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", protocol)
    assert ended.code == 2
    assert expected in ended.err


def test_a_protocol_file_that_is_not_there(mritk, toy):
    ended = mritk("run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", "nowhere.toml")
    assert ended.code == 4
    assert "no protocol file nowhere.toml" in ended.err


@pytest.mark.parametrize(
    ("arguments", "typed"),
    [
        (["run", "--epochs", "3"], "with --protocol FILE.toml"),
        (["run", "--batch_size", "3"], "with --protocol FILE.toml"),
        (["run", "--gpu"], "use --device cuda"),
        (["run", "--model", "x"], "use --backbone ARCH@WEIGHTS"),
        (["run", "-b"], "'-b' requires an argument"),
        (["run", "--protocol", "no.toml"], "'mritk list protocols' lists built-in ones"),
        (["run", "-o", "x" * 300], "File name too long"),
        (["leaderboard", "x" * 300], "File name too long"),
        (["run", "-p", "augmet"], "did you mean augment"),
        (["leaderboard", "my results"], "mritk run --results 'my results'"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_first_mistakes_are_answered_with_what_to_type(mritk, arguments, typed):
    ended = mritk(*arguments)
    assert ended.code in (2, 4)
    assert typed in ended.err.splitlines()[-1]


def test_help_is_a_word_too(mritk):
    assert mritk("help").out == mritk("--help").out
    assert mritk("help", "run").out == mritk("run", "--help").out


@pytest.mark.slow
def test_no_table_is_offered_where_every_trial_failed(run_toy, fast_protocol):
    text = fast_protocol.read_text().replace("learning_rate = 1e-2", "learning_rate = 1e30")
    fast_protocol.write_text(text.replace("epochs = 2", "epochs = 2\noptimizer = 'sgd'"))
    ended = run_toy("--seeds", 1)
    assert ended.code == 3
    assert "for a paper" not in ended.err
    assert "one trial in full" in ended.err


def test_names_reach_no_terminal_raw(mritk, make_record, tmp_path):
    hostile = "net\x1b]0;mine\x07"
    ResultsFolder(tmp_path / "results").write(make_record(backbone=hostile, dataset=hostile))
    (tmp_path / "results" / "trials" / "bad\x1b[2J.h5").write_bytes(b"damaged")
    ended = mritk("leaderboard", tmp_path / "results", "--format", "plain")
    assert ended.code == 0
    assert r"net\u001b" in ended.out
    assert "\x1b" not in ended.out + ended.err


def test_all_that_commands_print_goes_through_one_place():
    commands = Path(mritk_cli.__file__).parent
    for path in commands.rglob("*.py"):
        if path.name not in ("tell.py", "__main__.py"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"click\.s?echo\(|\bprint\(", text), path.name


@pytest.mark.parametrize("command", ["leaderboard", "report", "differences", "doctor", "status"])
def test_no_trials_to_show(mritk, tmp_path, command):
    assert mritk(command, tmp_path / "nowhere").code == 2
    folder = tmp_path / "no trials yet"
    (folder / "trials").mkdir(parents=True)
    ended = mritk(command, folder)
    assert ended.code == (0 if command == "status" else 5)
    told = f"no trials in {folder}; to train some: mritk run --results '{folder}'\n"
    assert (ended.out + ended.err).endswith(told)


def test_a_home_that_cannot_be_written(run_toy, monkeypatch):
    monkeypatch.setenv("MRITK_HOME", "/proc/nothing")
    ended = run_toy("--seeds", 1)
    assert ended.code == 2
    assert "set MRITK_HOME to a writable folder" in ended.err


def test_an_augmentation_that_a_method_cannot_use(mritk, toy):
    ended = mritk(
        "run",
        "-p",
        toy,
        "-b",
        "tiny",
        "-d",
        "bands",
        "-a",
        "flip",
        "-n",
        "--protocol",
        "linear_probe",
    )
    assert ended.code == 2
    assert "method linear_probe does not support augmentation 'flip'" in ended.err


def test_a_metric_that_does_not_fit_the_task(mritk, toy, tmp_path):
    protocol = tmp_path / "mine.toml"
    protocol.write_text("method = 'finetune'\n[selection]\nby = 'mae'\n")
    ended = mritk("run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", protocol, "-n")
    assert ended.code == 2
    assert "protocol mine selects the checkpoint by mae" in ended.err
    assert "set by in [selection] to one of loss, balanced_accuracy, " in ended.err


@pytest.mark.slow
def test_a_reader_of_a_pipe_that_has_gone_is_no_error(tmp_path):
    done = subprocess.run(
        f"{sys.executable} -m mritk list backbones | true; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
