"""Run one trial: train, score, and record what it was made of."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from importlib.metadata import version
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import mritk
from mritk.errors import MritkError, one_line
from mritk.execute.scoring import embedding_of, predictions_of
from mritk.execute.trial_record import Found, origins, record_of
from mritk.files.workspace import Workspace
from mritk.images.subset import Subset
from mritk.machine.engine import Engine
from mritk.machine.usual_state import usual_products, usual_torch
from mritk.method import Epoch, Fitted, Setup
from mritk.splits.units import unit_names
from mritk.store.kept_model import model_metadata
from mritk.store.trial_file import Failure, TrialRecord
from mritk.trial import Trial

if TYPE_CHECKING:
    from mritk.train.checkpoint import Checkpoint
    from mritk.train.cost import CostMeter

# What a record notes of its kept network.
Kept: TypeAlias = dict[str, str | int]


@usual_torch()
@usual_products()
def run_trial(  # noqa: PLR0913 - two places of files, one of them optional
    trial: Trial,
    workspace: Workspace,
    engine: Engine,
    provenance: dict[str, Any],
    on_epoch: Callable[[Epoch], None],
    checkpoint_path: Path,
    *,
    model_path: Path | None = None,
    when_there: Callable[[Callable[[], Kept]], Kept] = lambda write: write(),
    must_stop: Callable[[], bool] = lambda: False,
) -> tuple[TrialRecord, Exception | SystemExit | None]:
    """Train and score one trial, from its checkpoint if there is one.

    A failure is a result too: whatever the method raises becomes a record with status ``failed``.
    ``KeyboardInterrupt`` passes through, and so does :class:`mritk.errors.Stopped`.

    Args:
        trial: What to train.
        workspace: Where caches are.
        engine: Where and how to compute.
        provenance: Kept in the record.
        on_epoch: Called after each epoch that is trained now.
        checkpoint_path: Where the trial keeps what it needs to resume. The file stays; once the
            record is stored nobody needs it.
        model_path: Where the trained network is kept; None: nowhere. A method that offers no
            network leaves nothing there. The record's note ``model`` tells that it was kept,
            ``without_model`` why it could not be.
        when_there: Calls a function that writes into the results folder once that is there, and
            returns its result.
        must_stop: Tells whether the trial must end at its next checkpoint, which is due then.

    Returns:
        The record to be stored, and the exception of a failed trial.
    """
    from mritk.train.checkpoint import Checkpoint
    from mritk.train.cost import CostMeter, model_cost

    history: list[Epoch] = []
    trained_now = 0

    def keep(epoch: Epoch) -> None:
        nonlocal trained_now
        trained_now += 1
        history.append(epoch)
        on_epoch(epoch)

    error: Exception | SystemExit | None = None
    found = Found()
    spent: dict[str, float] | None = None
    size: dict[str, float] = {}
    cost = CostMeter(engine.device)
    checkpoint = Checkpoint(
        checkpoint_path,
        _resumable_by(trial, engine),
        history,
        engine.checkpoint_seconds,
        must_stop,
        engine.checkpoint_share,
    )
    try:
        fitted = trial.method.fit(_setup(trial, workspace, engine, keep, checkpoint))
        cost.lap("fit")
        _score(trial, fitted, workspace, engine, found, cost)
        cost.lap("predict")
        spent = cost.measured()
        size = model_cost(fitted)
        record = record_of(trial, provenance, found)
        record.status = "finished"
        if model_path is not None:
            _keep_model(fitted, record, model_path, when_there)
    except (Exception, SystemExit) as failure:
        error = failure
        record = record_of(trial, provenance, found)
        record.status = "failed"
        record.failure = Failure(
            type(failure).__name__, str(failure), traceback.format_exc(), len(history)
        )
    finally:
        checkpoint.close()
    record.history = history
    record.cost = (spent or cost.measured()) | size
    # A recipe that trains nothing has no speed of training; other methods may note what they like.
    speed = record.notes.get("images_per_second")
    if isinstance(speed, Real) and math.isfinite(speed):
        record.cost["images_per_second"] = float(speed)
    if checkpoint.resumed:
        record.cost["resumed_after_epochs"] = float(len(history) - trained_now)
    return record, error


def _resumable_by(trial: Trial, engine: Engine) -> dict[str, str]:
    """Return what must be the same for a trial to resume as if it had not stopped."""
    return {
        "trial": trial.id,
        "device": engine.device.partition(":")[0],
        "mritk": mritk.__version__,
        "torch": version("torch"),
        **{f"{part} from": origin for part, origin in origins(trial).items()},
    }


def _setup(
    trial: Trial,
    workspace: Workspace,
    engine: Engine,
    on_epoch: Callable[[Epoch], None],
    checkpoint: Checkpoint,
) -> Setup:
    protocol, fold = trial.protocol, trial.division
    return Setup(
        parameters=protocol.parameters,
        task=trial.dataset.samples.task,
        train=_subset(trial, fold.train, workspace),
        val=_subset(trial, fold.val, workspace),
        unlabelled=_unlabelled(trial, workspace),
        augmentation=trial.augmentation,
        seed=trial.seed,
        workspace=workspace,
        backbone=trial.backbone,
        image_size=protocol.image_size,
        volume_size=protocol.volume_size,
        selection=protocol.selection,
        precision=protocol.precision,
        deterministic=protocol.deterministic,
        device=engine.device,
        compile=engine.compile,
        graphs=engine.replays,
        checkpoint=checkpoint,
        on_epoch=on_epoch,
    )


def _subset(trial: Trial, rows: np.ndarray, workspace: Workspace) -> Subset:
    return Subset.of(trial.dataset.samples, rows, workspace, trial.protocol.preprocessing)


def _unlabelled(trial: Trial, workspace: Workspace) -> Subset | None:
    which, fold = trial.protocol.split.unlabelled, trial.division
    if which == "none":
        return None
    rows = np.union1d(fold.train, fold.unused)
    if which == "all":
        rows = np.arange(len(trial.dataset.samples))
    return _subset(trial, rows, workspace).without_targets()


def _score(
    trial: Trial,
    fitted: Fitted,
    workspace: Workspace,
    engine: Engine,
    found: Found,
    cost: CostMeter,
) -> None:
    samples, fold = trial.dataset.samples, trial.division
    found.notes = dict(getattr(fitted, "notes", {}))
    found.provenance = dict(getattr(fitted, "provenance", {}))
    if not samples.task.has_scores:
        return
    unit = unit_names(samples, trial.dataset.copies)
    # The only place where test samples meet a model, once, after training has ended; but for their
    # images where a protocol says so.
    for part, rows in (("val", fold.val), ("test", fold.test)):
        subset = _subset(trial, rows, workspace)
        began = time.perf_counter()
        clean = fold.clean if part == "test" else None
        scored = predictions_of(fitted, subset, trial.method.name, part=part, clean=clean)
        if part == "test":
            cost.predicted(len(subset), time.perf_counter() - began)
        scored.unit = [unit[row] for row in rows]
        if engine.keep_embeddings:
            scored.embedding = embedding_of(fitted, subset, trial.method.name)
        found.predictions[part] = scored


def _keep_model(
    fitted: Fitted,
    record: TrialRecord,
    path: Path,
    when_there: Callable[[Callable[[], Kept]], Kept],
) -> None:
    """Write the trained network beside the trial files, and note its digest in the record.

    Whatever goes wrong is kept there, too: the trial, which may have taken hours, is finished.
    """
    from mritk.model.model_file import network_facts, write_model

    try:
        facts = network_facts(fitted)
        if facts is None or "input_contract" not in record.provenance:
            return
        network = fitted.network  # type: ignore[attr-defined]  # optional, and it is there
        metadata = model_metadata(record, facts)

        def write() -> Kept:
            digest = write_model(network, metadata, path)
            return {"sha256": digest, "bytes": path.stat().st_size}

        record.notes["model"] = when_there(write)
    except (Exception, SystemExit) as error:
        why = one_line(error)
        known = isinstance(error, MritkError)
        record.without_model = why if known else f"{type(error).__name__}: {why}"
