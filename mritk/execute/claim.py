"""A trial is trained by one process at a time: whoever trains it holds a lock.

Two runs of one benchmark into one folder then share its trials. Where a file system has no locks,
two processes may train one trial: the files that they write are equal.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep

from mritk.errors import Stopped
from mritk.execute.away import wait_for
from mritk.execute.notice import Notice
from mritk.store.claims import claim_path, held
from mritk.store.folder import ResultsFolder

logger = logging.getLogger("mritk")

# Seconds between two looks at the claim of another process.
LOOK_S = 0.5


@contextmanager
def claimed(
    results: ResultsFolder,
    trial_id: str,
    *,
    wait: bool,
    notice: Notice | None = None,
) -> Iterator[bool]:
    """Hold the claim to a trial; give False if another process holds it.

    Args:
        results: Where the trial will be stored.
        trial_id: The trial.
        wait: Wait for another process to end its training, and say so.
        notice: Ends the waiting.

    Raises:
        Stopped: The run must end.
    """
    path = claim_path(results, trial_id)
    told = False
    while True:
        with _claimed_now(results, trial_id) as mine:
            if mine or not wait:
                yield mine
                return
        if notice is not None and notice.given:
            raise Stopped
        if not told:
            logger.warning(
                "waiting for another process that is training trial %s (lock: %s)",
                trial_id[:8],
                path,
            )
        told = True
        sleep(LOOK_S)
        wait_for(results)  # it was there


@contextmanager
def _claimed_now(results: ResultsFolder, trial_id: str) -> Iterator[bool]:
    path = claim_path(results, trial_id)
    if results.is_there():  # not beneath the place of a disk that is gone
        with suppress(OSError):
            path.parent.mkdir(exist_ok=True)
    try:
        with held(results, trial_id) as mine:
            try:
                yield mine
            finally:
                if mine:  # whoever waits for this file looks at the trial before training it
                    with suppress(OSError):
                        path.unlink(missing_ok=True)
    finally:
        with suppress(OSError):  # others are claimed
            path.parent.rmdir()


def stamp_of(path: Path) -> int:
    """Return what tells one writing of a trial file from another; 0 where there is no file."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def finished_meanwhile(results: ResultsFolder, trial_id: str, stamp: int = 0) -> bool:
    """Tell whether another process has stored a trial since the run was planned, so that it is not
    to be trained; or may have, as its file cannot be read now or is of a newer mritk.

    To be asked while its claim is held. ``stamp`` is that of a file to be replaced, see
    :attr:`mritk.trial.Plan.stamps`; 0: none is, so that no moment between the planning and the
    claim is missed.
    """
    if stamp_of(results.trial_path(trial_id)) == stamp:
        return False
    return not results.status(trial_id).to_train
