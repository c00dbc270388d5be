"""The trainer that nnU-Net finds in a file: the protocol's class, with its epochs and the seed."""

from __future__ import annotations

from pathlib import Path

from mritk_nnunet.recipe import NnunetRecipe

# Part of the name of the folder of its results.
CLASS = "MritkTrainer"
TEXT = """
import os
import random

import numpy as np
import torch

from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

Base = recursive_find_trainer_class_by_name({base!r})


class {name}(Base):
    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = {epochs}
        self.num_iterations_per_epoch = {iterations}
        self.num_val_iterations_per_epoch = {val_iterations}
        self.save_every = {save_every}
        threads = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
        if device.type == "cpu" and threads.isdecimal() and int(threads):
            torch.set_num_threads(int(threads))
        for seed in (random.seed, np.random.seed, torch.manual_seed):
            seed({seed})

    def save_checkpoint(self, filename):
        # Whole or not at all: training goes on from the file.
        super().save_checkpoint(filename + ".part")
        if os.path.isfile(filename + ".part"):
            os.replace(filename + ".part", filename)

    def perform_actual_validation(self, save_probabilities=False):
        print("validation cases are predicted later, like those of the test set")
"""


def write_trainer(recipe: NnunetRecipe, seed: int, folder: Path) -> None:
    """Write the file into a folder, which ``nnUNet_extTrainer`` is to name."""
    folder.mkdir(parents=True, exist_ok=True)
    text = TEXT.format(
        base=recipe.trainer,
        name=CLASS,
        epochs=recipe.epochs,
        iterations=recipe.iterations,
        val_iterations=recipe.val_iterations,
        save_every=recipe.save_every,
        seed=seed % 2**32,
    )
    (folder / f"{CLASS}.py").write_text(text.lstrip(), encoding="utf-8")
