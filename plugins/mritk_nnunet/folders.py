"""The folders that nnU-Net works in, all within the trial's own, and what is written there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mritk import Setup, UsageError
from mritk.external import Case, CaseFolder, Mount, ProgramFailed
from mritk_nnunet.recipe import NnunetRecipe
from mritk_nnunet.regions import labels_of
from mritk_nnunet.trainer_file import CLASS

DATASET, NUMBER, PLANS, FOLD = "Dataset001_trial", "1", "MritkPlans", "0"
ENDING = ".nii.gz"


@dataclass(frozen=True)
class Folders:
    """Paths below the folder of a trial.

    Attributes:
        root: The folder; nnU-Net is given this one alone.
    """

    root: Path

    @property
    def mounts(self) -> list[Mount]:
        """What a container sees."""
        return [Mount(self.root, "/nnunet", writable=True)]

    @property
    def variables(self) -> dict[str, Path]:
        """The folders that nnU-Net is told of by environment variables."""
        named = {f"nnUNet_{name}": self.root / name for name in ("raw", "preprocessed", "results")}
        return {**named, "nnUNet_extTrainer": self.root / "trainer"}

    @property
    def raw(self) -> Path:
        """The raw dataset."""
        return self.root / "raw" / DATASET

    @property
    def preprocessed(self) -> Path:
        """What planning and preprocessing make of it."""
        return self.root / "preprocessed" / DATASET

    def results(self, configuration: str) -> Path:
        """Return where the fold's checkpoints are."""
        trained = f"{CLASS}__{PLANS}__{configuration}"
        return self.root / "results" / DATASET / trained / f"fold_{FOLD}"

    def write_raw(self, setup: Setup) -> None:
        """Write the cases of training and validation, with the list of which is which."""
        recipe: NnunetRecipe = setup.parameters
        writer = CaseFolder(self.raw / "imagesTr", self.raw / "labelsTr").begin()
        cases = [*writer.write(setup.train, "train"), *writer.write(setup.val, "val")]
        _require_volumes(cases)
        channels = setup.train.samples.channels or ("image",)
        told = {
            "channel_names": {str(number): name for number, name in enumerate(channels)},
            **labels_of(setup.task, regions=recipe.regions == "auto"),  # type: ignore[arg-type]
            "numTraining": len(cases),
            "file_ending": ENDING,
        }
        _write(self.raw / "dataset.json", told)
        split = {part: [c.name for c in cases if c.part == part] for part in ("train", "val")}
        _write(self.root / "split.json", split)

    def write_split(self) -> None:
        """Give nnU-Net mritk's split as its only fold."""
        split = json.loads((self.root / "split.json").read_text(encoding="utf-8"))
        _write(self.preprocessed / "splits_final.json", [split])

    def plans(self) -> dict[str, Any]:
        """Return the plans as nnU-Net wrote them, or as they were made smaller.

        Raises:
            ProgramFailed: It wrote none.
        """
        path = self.preprocessed / f"{PLANS}.json"
        try:
            plans: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ProgramFailed(f"nnU-Net ended without plans: there is no {path}") from error
        return plans

    def narrow(self, configuration: str, base: int) -> None:
        """Let a plan have ``base`` features at first, and twice as many in each next stage."""
        plans = self.plans()
        own = plans["configurations"][configuration]["architecture"]["arch_kwargs"]
        own["features_per_stage"] = [
            min(base * 2**stage, planned) for stage, planned in enumerate(own["features_per_stage"])
        ]
        _write(self.preprocessed / f"{PLANS}.json", plans)

    def begin_prediction(self) -> tuple[CaseFolder, Path]:
        """Return empty folders for the images of a part and for what is predicted of them."""
        root = self.root / "predict"
        shutil.rmtree(root, ignore_errors=True)
        output = root / "output"
        output.mkdir(parents=True)
        return CaseFolder(root / "input").begin(), output

    def end_prediction(self) -> None:
        """Remove the images again."""
        shutil.rmtree(self.root / "predict")


def _require_volumes(cases: Sequence[Case]) -> None:
    """Refuse images: volumes are written as NIfTI."""
    if not all(file.name.endswith(ENDING) for case in cases for file in case.files.values()):
        raise UsageError("the method nnunet takes volumes, not images")


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
