"""Delete the checkpoints of interrupted trials, on request: they may hold hours of training."""

from __future__ import annotations

from collections.abc import Container

from mritk.store.claims import held
from mritk.store.doctor import Diagnosis, State
from mritk.store.folder import ResultsFolder


def discard_interrupted(
    folder: ResultsFolder, diagnosis: Diagnosis, awaited: Container[str]
) -> list[str]:
    """Delete the checkpoints that a diagnosis calls those of interrupted trials.

    Args:
        folder: The results folder.
        diagnosis: What the doctor found there.
        awaited: Ids of trials that a run is about to resume; theirs stay, as do those of trials
            that are being trained.

    Returns:
        What was done, one line for each.
    """
    done = []
    for ailment in diagnosis.ailments:
        trial = ailment.path.stem
        if ailment.state is not State.INTERRUPTED:
            continue
        with held(folder, trial) as free:
            if not free or trial in awaited:
                done.append(f"kept {ailment.path}: a run that goes on needs it")
                continue
            folder.discard_checkpoints([trial])
        gone = not (folder.path / ailment.path).exists()
        done.append(f"{'deleted' if gone else 'cannot delete'} {ailment.path}")
    return done
