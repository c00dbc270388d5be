"""The method ``external``: a program that is told by a job file what to train on and to predict.

It is called as ``PROGRAM train JOB.json``, then as ``PROGRAM predict JOB.json`` for each part that
is scored; docs/external.md says what is in the file, and what it has to write.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mritk import Epoch, Setup, Subset
from mritk.external import (
    Case,
    CaseFolder,
    Entrant,
    Mount,
    Patience,
    Progress,
    WorkFolder,
    epoch_of,
    lines_of,
    read_label_maps,
    read_scores,
)
from mritk_external.recipe import ExternalRecipe

# 2: files of volumes lie where their samples do, with axes to the right, the front and up.
CONTRACT = 2


def fit_external(setup: Setup) -> ExternalModel:
    """Let the program train on files of the training and validation set.

    Raises:
        Unavailable: Its environment or the program is missing, or is not the one that was pinned.
        ProgramFailed: It ended with an error, or took too long.
    """
    own: ExternalRecipe = setup.parameters
    entrant = Entrant.named(
        own.name,
        own.environment,
        own.program,
        device=setup.device,
        patience=Patience(own.hours * 3600, own.silent_minutes * 60),
        offline=setup.workspace.offline,
    )
    entrant.require(own.digest, own.version)
    model = ExternalModel(setup, entrant, WorkFolder.of(setup.checkpoint, entrant.lock))
    model.train()
    return model


class ExternalModel:
    """What a program has trained, in a folder of its own."""

    def __init__(self, setup: Setup, entrant: Entrant, work: WorkFolder) -> None:
        self._setup, self._entrant, self._work = setup, entrant, work
        self._model, self._log = work.path / "model", work.path / "log.txt"

    def train(self) -> None:
        """Let it train, or go on behind what an earlier attempt has left in its folder."""
        setup, work = self._setup, self._work
        progress = Progress(setup.on_epoch, setup.checkpoint, resumed=work.resumed)
        if work.did("trained"):
            return
        job, mounts = self._job("train")
        if not work.did("cases") or self._told_model(job) != self._at(mounts):
            folder = CaseFolder(job.parent / "images", job.parent / "labels").begin()
            cases = folder.write(setup.train, "train") + folder.write(setup.val, "val")
            self._write(job, cases, mounts)
            work.note("cases")
        self._model.mkdir(exist_ok=True)
        progress.remember(self._epochs())
        progress.keep()

        def follow(line: str) -> None:
            if (epoch := epoch_of(line)) is not None:
                progress.tell(epoch)

        self._run("train", job, mounts, follow)
        progress.finish(self._epochs())
        work.note("trained")
        shutil.rmtree(job.parent)

    def _epochs(self) -> dict[int, Epoch]:
        """Return the epochs in the log; of several of one number the last."""
        found = filter(None, map(epoch_of, lines_of(self._log)))
        return {epoch.epoch: epoch for epoch in found}

    def predict(self, subset: Subset) -> np.ndarray | list[np.ndarray]:
        """Return logits (N, classes), values (N,), or label maps of the shape of each sample."""
        job, mounts = self._job("predict")
        cases = CaseFolder(job.parent / "images").begin().write(subset)
        output = job.parent / "output"
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir()
        self._write(job, cases, mounts)
        self._run("predict", job, mounts, lambda line: None)
        task, name = self._setup.task, self._entrant.name
        if task.has_target_maps:
            found: np.ndarray | list[np.ndarray] = read_label_maps(output, cases, name)
        else:
            found = read_scores(output, cases, task, name)
        shutil.rmtree(job.parent)
        return found

    def _job(self, step: str) -> tuple[Path, list[Mount]]:
        """Return the job file of a step, and the folders that the program may use."""
        folder = self._work.path / step
        folder.mkdir(exist_ok=True)
        mounts = [
            Mount(folder, "/job", writable=True),
            Mount(self._model, "/model", writable=True),
        ]
        return folder / "job.json", mounts

    def _write(self, job: Path, cases: Sequence[Case], mounts: Sequence[Mount]) -> None:
        setup, own, at = self._setup, self._setup.parameters, self._entrant.environment
        told: dict[str, Any] = {
            "contract": CONTRACT,
            "step": job.parent.name,
            "task": setup.task.as_dict(),
            "channels": list(setup.train.samples.channels),
            "seed": setup.seed,
            "device": setup.device.partition(":")[0],
            "settings": dict(own.settings),
            "model": self._at(mounts),
            "output": at.path(job.parent / "output", mounts),
            "cases": [
                case.as_dict(at, mounts) for case in sorted(cases, key=lambda case: case.name)
            ],
        }
        job.write_text(json.dumps(told, indent=1), encoding="utf-8")

    def _at(self, mounts: Sequence[Mount]) -> str:
        """Return the folder of the model as the program knows it."""
        return self._entrant.environment.path(self._model, mounts)

    def _told_model(self, job: Path) -> str | None:
        """Return the same as a job file says; another one if the results folder was moved."""
        try:
            told = json.loads(job.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return str(told.get("model"))

    def _run(self, step: str, job: Path, mounts: Sequence[Mount], on_line: Any) -> None:
        told = self._entrant.environment.path(job, mounts)
        self._entrant.run([step, told], self._model, self._log, mounts=mounts, on_line=on_line)

    @property
    def notes(self) -> dict[str, Any]:
        """Facts for the trial file."""
        own: ExternalRecipe = self._setup.parameters
        return {"entrant": own.name, "version": own.version, "environment": own.environment}

    @property
    def provenance(self) -> dict[str, Any]:
        """What the program is made of, for the trial file."""
        return self._entrant.provenance
