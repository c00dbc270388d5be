"""What a library may set for the whole process is set back: later trials must not differ by it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path


@contextmanager
def usual_torch() -> Iterator[None]:
    """Begin with torch's own default dtype and device, and with gradients; restore what was set.

    To be used as a decorator, too. What the work inside sets holds until its end.
    """
    import torch

    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    usual = nullcontext() if device.type == "cpu" else torch.device("cpu")
    with torch.inference_mode(mode=False), torch.enable_grad(), usual:
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
    if torch.get_default_device() != device:
        torch.set_default_device(None if device.type == "cpu" else device)


@contextmanager
def same_folder() -> Iterator[None]:
    """Return to the working folder: paths of results and data may be relative to it."""
    before = None
    with suppress(OSError):  # it has gone
        before = Path.cwd()
    try:
        yield
    finally:
        if before is not None:
            with suppress(OSError):
                os.chdir(before)
