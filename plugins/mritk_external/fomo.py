"""The method ``fomo_container``: trained entrants in the layout of FOMO's container templates.

Each case is one run, ``ENTRANT --t1 /input/t1.nii.gz … --output /output/output.txt``: a
probability or a value as text, or a label map as NIfTI. Without a container the same arguments are
paths of this machine. Layout: https://github.com/fomo26/container_templates, read on 2026-11-28.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from mritk import Setup, Subset, UsageError
from mritk.external import (
    Case,
    CaseFolder,
    Entrant,
    Mount,
    Patience,
    ProgramFailed,
    WorkFolder,
    read_label_map,
    scores_of,
)
from mritk_external.recipe import FomoRecipe

NIFTI = ".nii.gz"


def fit_fomo(setup: Setup) -> FomoEntrant:
    """Return the entrant, which comes trained; nothing of the data reaches it here.

    Raises:
        UsageError: A scalar cannot tell the classes apart, or two channels have one argument.
        Unavailable: Its environment or the program is missing, or is not the one that was pinned.
    """
    own: FomoRecipe = setup.parameters
    if len(setup.task.classes) > 2:
        raise UsageError(
            f"an entrant of FOMO's layout writes one probability, but the data have "
            f"{len(setup.task.classes)} classes; use the method external"
        )
    entrant = Entrant.named(
        own.name,
        own.environment,
        own.program,
        device=setup.device,
        patience=Patience(own.minutes * 60),
        offline=setup.workspace.offline,
    )
    entrant.require(own.digest, own.version)
    return FomoEntrant(setup, entrant, WorkFolder.of(setup.checkpoint, entrant.lock))


class FomoEntrant:
    """A program that predicts one case at a time."""

    def __init__(self, setup: Setup, entrant: Entrant, work: WorkFolder) -> None:
        self._setup, self._entrant, self._work = setup, entrant, work
        self._arguments = _arguments(setup.train.samples.channels, setup.parameters.inputs)

    def predict(self, subset: Subset) -> np.ndarray | list[np.ndarray]:
        """Return logits (N, 2), values (N,), or label maps of the shape of each sample.

        Raises:
            ProgramFailed: The entrant failed, or wrote nothing or something else.
        """
        folder = self._work.path / "predict"
        cases = CaseFolder(folder / "cases").begin().write(subset)
        answers = [self._answer(folder, case) for case in cases]
        shutil.rmtree(folder)
        if self._setup.task.has_target_maps:
            return answers
        form = "probabilities" if self._setup.task.classes else "values"
        return scores_of(answers, cases, self._setup.task, self._entrant.name, form)

    def _answer(self, folder: Path, case: Case) -> Any:
        """Run the entrant on one case, in folders that hold nothing else, and read its answer."""
        ending = NIFTI if self._setup.task.has_target_maps else ".txt"
        at, name = self._entrant.environment, f"{self._entrant.name}, case {case.id}"
        parts = {part: folder / part for part in ("input", "output", "tmp")}
        for path in parts.values():
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        mounts = [Mount(path, f"/{part}", part != "input") for part, path in parts.items()]
        words = []
        for channel, file in case.files.items():
            if not file.name.endswith(NIFTI):
                raise UsageError("fomo_container takes volumes, which it hands on as NIfTI")
            if argument := self._arguments[channel]:
                there = file.rename(parts["input"] / f"{argument}{NIFTI}")
                words += [f"--{argument}", at.path(there, mounts)]
        answer = parts["output"] / f"output{ending}"
        words += ["--output", at.path(answer, mounts)]
        variables = {"TMPDIR": at.path(parts["tmp"], mounts)}
        log = self._work.path / "log.txt"
        self._entrant.run(words, parts["tmp"], log, mounts=mounts, variables=variables)
        if not answer.is_file():
            raise ProgramFailed(f"{name}: it wrote no {answer.name}; its log: {log}")
        if ending == NIFTI:
            return read_label_map(answer, case, self._entrant.name)
        return self._number(answer, name)

    def _number(self, answer: Path, name: str) -> Any:
        """Return what the text of an answer says: a value, or the probabilities of two classes."""
        text = answer.read_text(encoding="utf-8", errors="replace").strip()
        try:
            value = float(text)
        except ValueError as error:
            raise ProgramFailed(
                f"{name}: {answer.name} must hold one number; it has {text[:60]!r}"
            ) from error
        return [1 - value, value] if self._setup.task.classes else value

    @property
    def notes(self) -> dict[str, Any]:
        """Facts for the trial file."""
        own: FomoRecipe = self._setup.parameters
        return {
            "entrant": own.name,
            "version": own.version,
            "environment": own.environment,
            "arguments": dict(self._arguments),
        }

    @property
    def provenance(self) -> dict[str, Any]:
        """What the entrant is made of, for the trial file."""
        return self._entrant.provenance


def _arguments(channels: tuple[str, ...], inputs: Any) -> dict[str, str]:
    """Return the argument of each channel; an empty one leaves it out.

    Raises:
        UsageError: A channel is unknown, no channel is left, or two have one argument.
    """
    names = channels or ("image",)
    unknown = sorted(set(inputs) - set(names))
    if unknown:
        raise UsageError(f"inputs names {', '.join(unknown)}, but the data have {', '.join(names)}")
    found = {name: inputs.get(name, name if channels else "input") for name in names}
    given = [argument for argument in found.values() if argument]
    if not given or len(set(given)) < len(given):
        raise UsageError("inputs must give each channel an argument of its own; '' leaves it out")
    return found
