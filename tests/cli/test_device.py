"""``--device``: one GPU, or several by name."""

from __future__ import annotations

import click
import pytest

from mritk.cli.device import DeviceName, use_gpus


@pytest.mark.parametrize(
    ("wish", "visible", "device", "count", "then"),
    [
        ("auto", None, "auto", 0, None),
        ("cuda:1", "4,5", "cuda:1", 0, "4,5"),
        ("cuda:*", "4,5", "cuda", 0, "4,5"),
        ("cuda:0,cuda:2", None, "cuda", 2, "0,2"),
        ("cuda:0,cuda:2", "GPU-a, GPU-b,GPU-c", "cuda", 2, "GPU-a,GPU-c"),
        ("cuda:1,cuda:0", "4,5", "cuda", 2, "5,4"),
        ("cuda:0,cuda:0", None, "cuda", 1, "0"),
        ("cuda:0,cuda:7", "4,5", "cuda", 2, "4"),
        ("cuda:0,cuda:1", "", "cuda", 2, ""),
    ],
)
def test_the_named_gpus_alone_are_seen(wish, visible, device, count, then):
    """They are numbered among those that were seen before; what is missing is refused later."""
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert use_gpus(wish, environ) == (device, count)
    assert environ.get("CUDA_VISIBLE_DEVICES") == then


def test_a_command_that_uses_one_gpu_refuses_several():
    assert DeviceName(several=True).convert("cuda:0,cuda:1", None, None) == "cuda:0,cuda:1"
    for value in ("cuda:0,cuda:1", "cuda:*"):
        with pytest.raises(click.BadParameter, match="this command uses one GPU"):
            DeviceName().convert(value, None, None)
    with pytest.raises(click.BadParameter, match="unknown device"):
        DeviceName(several=True).convert("cuda:0,cpu", None, None)


@pytest.fixture
def no_variable(monkeypatch):
    """The command sets the variable of this process, as far as this test goes."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")


def test_gpus_that_are_not_there_are_refused_in_one_line(run_toy, no_variable, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    ended = run_toy("--device", "cuda:0,cuda:1", "--jobs", "2")
    assert ended.code == 4
    assert "2 GPUs are named, but torch" in ended.err
    assert "sees 1 of them" in ended.err


def test_gpus_of_another_machine_are_not_named_here(run_toy, no_variable):
    ended = run_toy("--device", "cuda:0,cuda:1", "--jobs", "2", "--executor", "ray:auto")
    assert ended.code == 2
    assert "those of executor ray:auto are its own" in ended.err


def test_one_job_cannot_train_on_several_gpus(run_toy, no_variable):
    ended = run_toy("--device", "cuda:0,cuda:1", "--jobs", "1")
    assert ended.code == 2
    assert "--jobs 1 trains on one GPU, and --device cuda:0,cuda:1 names 2" in ended.err
