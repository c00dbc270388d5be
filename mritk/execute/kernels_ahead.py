"""Build the GPU kernels of the networks to come while another one trains."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from mritk.errors import one_line
from mritk.files.code_state import OWN_DISTRIBUTION
from mritk.model.kernels import KernelCase, build_kernels
from mritk.trial import Trial

logger = logging.getLogger("mritk")

# A network beside those that train must not be what fills the memory.
FREE_SHARE = 0.5


@contextmanager
def kernels_built_ahead(trials: Sequence[Trial], device: str) -> Iterator[None]:
    """Build in a thread, inside the block, what all trials but the first ones will need."""
    found = (_case_of(trial) for trial in trials if device.startswith("cuda"))
    cases = [case for case in dict.fromkeys(found) if case is not None]
    if len(cases) < 2:
        yield
        return
    stop = threading.Event()
    work = threading.Thread(target=_build_all, args=(cases[1:], device, stop), name="kernels")
    work.start()
    try:
        yield
    finally:
        stop.set()
        work.join()


def _case_of(trial: Trial) -> KernelCase | None:
    """Return what is built for a trial; None if that is not known beforehand.

    Nor is a network of another distribution built: it may keep tensors between calls of its
    ``build``, and a training would find those that were made here, without values.
    """
    recipe, backbone = trial.protocol.parameters, trial.backbone
    batch = getattr(recipe, "batch_size", None)
    if backbone is None or batch is None:
        return None
    if backbone.architecture.origin.distribution != OWN_DISTRIBUTION:
        return None
    stages = getattr(recipe, "stages", ())
    return KernelCase(
        backbone,
        trial.input_size,
        min(batch, len(trial.division.train)),
        trial.protocol.precision,
        any(getattr(stage, "train_last", 1.0) > 0 for stage in stages),
    )


def _build_all(cases: Sequence[KernelCase], device: str, stop: threading.Event) -> None:
    stream = torch.cuda.Stream(device)
    for case in cases:
        free, total = torch.cuda.mem_get_info(torch.device(device))
        if stop.is_set() or free < FREE_SHARE * total:
            return
        try:
            with torch.cuda.stream(stream):
                build_kernels(case, device)
        except Exception as error:  # the training says what is wrong, if anything is
            logger.info("kernels of %s not built ahead: %s", case.backbone.name, one_line(error))
