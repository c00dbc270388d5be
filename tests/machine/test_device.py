"""Where a trial computes, and what it leaves behind."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from mritk.errors import Unavailable, UsageError
from mritk.machine.device import (
    choose_device,
    repeatable,
    resolve_precision,
    return_device_memory,
)


@pytest.fixture
def gpus(monkeypatch):
    def pretend(count, *, bfloat16=True):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bfloat16)
        monkeypatch.setattr(torch.cuda, "device", nullcontext)

    return pretend


@pytest.mark.parametrize(
    ("wish", "count", "device"),
    [
        ("auto", 0, "cpu"),
        ("auto", 2, "cuda:0"),
        ("cpu", 2, "cpu"),
        ("cuda", 1, "cuda:0"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_a_device_is_chosen(gpus, wish, count, device):
    gpus(count)
    assert choose_device(wish) == device


@pytest.mark.parametrize(("wish", "count"), [("cuda", 0), ("cuda:1", 1)])
def test_a_gpu_that_is_not_there_is_unavailable_with_a_way_out(gpus, wish, count):
    gpus(count)
    with pytest.raises(Unavailable, match=f"sees {count} CUDA GPUs; use --device cpu"):
        choose_device(wish)


@pytest.mark.parametrize("wish", ["gpu", "cuda:x", "", "tpu:0", "meta", "mps"])
def test_other_devices_are_refused(wish):
    with pytest.raises(UsageError, match="auto, cpu, cuda or cuda:N"):
        choose_device(wish)


@pytest.mark.parametrize(
    ("wish", "device", "bfloat16", "precision"),
    [
        ("auto", "cpu", True, "float32"),
        ("auto", "cuda:0", True, "bfloat16"),
        ("auto", "cuda:0", False, "float32"),
        ("float32", "cuda:0", True, "float32"),
        ("bfloat16", "cuda:0", True, "bfloat16"),
        ("bfloat16_norms", "cuda:0", True, "bfloat16_norms"),
    ],
)
def test_precision(gpus, wish, device, bfloat16, precision):
    gpus(1, bfloat16=bfloat16)
    assert resolve_precision(wish, device) == precision


def test_bfloat16_where_it_is_only_emulated_is_unavailable(gpus):
    gpus(1, bfloat16=False)
    for wish in ("bfloat16", "bfloat16_norms"):
        for device in ("cpu", "cuda:0"):
            with pytest.raises(Unavailable, match=f"precision {wish} needs a GPU"):
                resolve_precision(wish, device)


@pytest.mark.parametrize("fails", [False, True])
def test_torchs_random_state_and_choice_of_algorithms_are_put_back(fails):
    before = torch.get_rng_state(), torch.backends.cudnn.benchmark
    try:
        with repeatable("cpu", deterministic=True):
            assert torch.are_deterministic_algorithms_enabled()
            assert not torch.backends.cudnn.benchmark
            torch.manual_seed(123)
            if fails:
                raise RuntimeError("planted")
    except RuntimeError:
        assert fails
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.backends.cudnn.benchmark == before[1]
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_callers_own_wish_for_determinism_is_kept():
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with repeatable("cpu", deterministic=False):
            assert torch.are_deterministic_algorithms_enabled()
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_wish_that_begins_inside_ends_there():
    for deterministic in (False, True):
        with repeatable("cpu", deterministic=deterministic):
            torch.use_deterministic_algorithms(not deterministic, warn_only=True)
        assert not torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()


@pytest.mark.gpu
def test_what_torch_holds_of_a_gpu_for_later_use_is_returned():
    torch.empty(1 << 28, dtype=torch.uint8, device="cuda")
    held = torch.cuda.memory_reserved()
    return_device_memory()
    assert torch.cuda.memory_reserved() <= held - (1 << 28)
