"""What a library may set for the whole process is set back: later trials must not differ by it."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from threading import Lock

FULL = "highest"
NUMPY = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}

_lock = Lock()


@contextmanager
def usual_torch() -> Iterator[None]:
    """Begin with torch's own default dtype and device, and with gradients; restore what was set.

    So is the number of threads. To be used as a decorator, too. What the work inside sets holds
    until its end.
    """
    import torch

    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    threads = torch.get_num_threads()
    usual = nullcontext() if device.type == "cpu" else torch.device("cpu")
    try:
        with torch.inference_mode(mode=False), torch.enable_grad(), usual:
            torch.set_default_dtype(torch.float32)
            yield
    finally:
        torch.set_default_dtype(dtype)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if torch.get_default_device() != device:
            torch.set_default_device(None if device.type == "cpu" else device)


@contextmanager
def usual_products() -> Iterator[None]:
    """Begin with torch's own precision of products of float32; restore what was set.

    Matrices are multiplied in full precision, and cuDNN's convolutions may use TF32. To be used as
    a decorator, too.
    """
    before = _set_products(FULL, True)
    try:
        yield
    finally:
        _set_products(*before)


def _set_products(matrices: str, convolutions: bool) -> tuple[str, bool]:
    """Set both; return what they were, torch's own if something was set in the newer way."""
    import torch

    before = FULL, True
    # The newer way, from torch 2.9 on, has no single value to be restored, and makes reading in
    # this way raise, of which some versions warn. What it has set, this way overrides.
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(RuntimeError):
            before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
        torch.set_float32_matmul_precision(matrices)
        torch.backends.cudnn.allow_tf32 = convolutions
    return before


@contextmanager
def undisturbed() -> Iterator[None]:
    """Return to the working folder, and to what NumPy does about overflow and the like.

    Paths of results and data may be relative to the folder.
    """
    folder, errors = None, NUMPY
    with suppress(OSError):  # it has gone
        folder = Path.cwd()
    if numpy := sys.modules.get("numpy"):
        errors = numpy.geterr()
    try:
        yield
    finally:
        if folder is not None:
            with suppress(OSError):
                os.chdir(folder)
        if numpy := sys.modules.get("numpy"):
            numpy.seterr(**errors)
