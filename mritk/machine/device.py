"""Where a trial computes, with which precision, and how repeatably."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mritk.errors import Unavailable, UsageError


def choose_device(wish: str) -> str:
    """Return a torch device for ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: No such kind of device.
        Unavailable: The GPU is not available.
    """
    if wish == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wish)
    except RuntimeError:
        raise UsageError(f"unknown device {wish!r}; expected auto, cpu, cuda or cuda:N") from None
    if device.type == "cpu":
        return "cpu"
    if device.type != "cuda":
        raise UsageError(f"device {wish!r} is not supported; expected auto, cpu, cuda or cuda:N")
    index = device.index or 0
    if index >= torch.cuda.device_count():
        raise Unavailable(
            f"device {wish} is not available: torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA GPUs; use --device cpu, or check the driver"
        )
    return f"cuda:{index}"


def require_gpus(count: int) -> None:
    """Refuse to go on with fewer GPUs.

    Raises:
        Unavailable: There are fewer.
    """
    if (found := torch.cuda.device_count()) < count:
        raise Unavailable(
            f"{count} GPUs are named, but torch {torch.__version__} sees {found} of them"
        )


def gpus_of(wish: str) -> int:
    """Return how many GPUs a wish, as :func:`choose_device` takes it, leaves to compute on."""
    if wish == "cpu":
        return 0
    return 1 if ":" in wish else torch.cuda.device_count()


def is_one_gpu(wish: str) -> bool:
    """Tell whether a wish leaves a single GPU."""
    return gpus_of(wish) == 1


def return_device_memory() -> None:
    """Give the memory that torch holds on GPUs for later use back: other processes may need it."""
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def resolve_precision(wish: str, device: str) -> str:
    """Return the precision for a wish: itself, or what ``auto`` comes to.

    ``auto`` is bfloat16 autocast on GPUs that compute it, float32 elsewhere: processors without
    such units emulate it many times slower.

    Raises:
        Unavailable: bfloat16 is asked for on a device that does not compute it.
    """
    has_bfloat16 = device.startswith("cuda") and _computes_bfloat16(device)
    if wish == "auto":
        return "bfloat16" if has_bfloat16 else "float32"
    if wish != "float32" and not has_bfloat16:
        raise Unavailable(f"precision {wish} needs a GPU that supports it; {device} does not")
    return wish


def _computes_bfloat16(device: str) -> bool:
    with torch.cuda.device(device):
        return torch.cuda.is_bf16_supported(including_emulation=False)


@contextmanager
def repeatable(device: str, *, deterministic: bool) -> Iterator[None]:
    """Restore torch's random state and algorithm settings after the block.

    With ``deterministic``, operations without a deterministic implementation raise.
    """
    cuda = [torch.device(device).index] if device.startswith("cuda") else []
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    wished = (True, False) if deterministic else (before, warn_only)
    benchmark = torch.backends.cudnn.benchmark
    if cuda:
        # torch looks at this once, at its first matrix product on a GPU, and without it refuses
        # deterministic algorithms ever after: so it must stand before the first trial of a process,
        # whatever that trial asks for. It is the workspace that torch takes on Hopper anyway.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with torch.random.fork_rng(devices=cuda):
        _choose_algorithms(*wished)
        torch.backends.cudnn.benchmark = False
        try:
            yield
        finally:
            _choose_algorithms(before, warn_only)
            torch.backends.cudnn.benchmark = benchmark


def _choose_algorithms(deterministic: bool, warn_only: bool) -> None:
    """Set both where they differ: the call imports torch's compiler, which takes a second."""
    now = torch.are_deterministic_algorithms_enabled()
    if (now, torch.is_deterministic_algorithms_warn_only_enabled()) != (deterministic, warn_only):
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
