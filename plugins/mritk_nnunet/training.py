"""The method ``nnunet``: its programs, one after the other, and what they leave."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mritk import Setup, Subset, Unavailable, UsageError
from mritk.external import (
    Entrant,
    Patience,
    Progress,
    WorkFolder,
    lines_of,
    read_label_maps,
)
from mritk_nnunet.epochs import EpochLog, epochs_in
from mritk_nnunet.folders import FOLD, NUMBER, PLANS, Folders
from mritk_nnunet.recipe import NnunetRecipe
from mritk_nnunet.regions import trained_names
from mritk_nnunet.trainer_file import CLASS, write_trainer

VARIABLE, PACKAGE = "MRITK_NNUNET", "nnunetv2"
ASK = f"from importlib.metadata import version; print(version({PACKAGE!r}))"
# What is kept of a plan; the rest says how it is computed.
KEPT = (
    *("data_identifier", "batch_size", "patch_size", "spacing", "median_image_size_in_voxels"),
    *("normalization_schemes", "architecture"),
)


def fit_nnunet(setup: Setup) -> Nnunet:
    """Let nnU-Net plan and train on files of the training and validation set.

    Raises:
        UsageError: The samples are no volumes, the protocol selects as nnU-Net does not, or a
            label has a name that means something else there.
        Unavailable: There is no environment with nnunetv2, or another version is wanted.
        ProgramFailed: One of its programs failed, or took too long.
    """
    trained_names(setup.task, regions=setup.parameters.regions == "auto")
    entrant = find_nnunet(setup)
    checkpoint_name(setup)
    model = Nnunet(setup, entrant, WorkFolder.of(setup.checkpoint, entrant.lock))
    model.train()
    return model


def find_nnunet(setup: Setup) -> Entrant:
    """Return nnU-Net in the environment that ``MRITK_NNUNET`` names.

    Raises:
        Unavailable: The variable is not set, or the environment has no nnunetv2, or another one.
    """
    own: NnunetRecipe = setup.parameters
    named = os.environ.get(VARIABLE, "")
    if not named:
        raise Unavailable(
            "nnU-Net runs in an environment of its own, which mritk does not know: python -m venv "
            f"~/nnunet && ~/nnunet/bin/pip install {PACKAGE} && export {VARIABLE}=~/nnunet"
        )
    patience = Patience(own.hours * 3600, own.silent_minutes * 60)
    entrant = Entrant.named(
        "nnunet", named, device=setup.device, patience=patience, offline=setup.workspace.offline
    )
    if own.version.startswith("sha256:"):
        entrant.require(version=own.version)
        return entrant
    found = installed_version(entrant, wanted=bool(own.version))
    if found is None:
        raise Unavailable(
            f"{named} ({VARIABLE}) has no {PACKAGE}; install it with: {named}/bin/pip install "
            f"{PACKAGE}"
        )
    if found and own.version and found != own.version:
        raise Unavailable(
            f"{named} ({VARIABLE}) has {PACKAGE} {found}, but the protocol wants {own.version}; "
            + (
                f"install it with: {named}/bin/pip install {PACKAGE}=={own.version}"
                if "packages" in entrant.lock["environment"]
                else "name an image that has it"
            )
        )
    return entrant


def installed_version(entrant: Entrant, *, wanted: bool) -> str | None:
    """Return the version of nnunetv2 in its environment; None: it has none.

    A container is asked only if an answer is ``wanted``; empty: it was not.

    Raises:
        Unavailable: The container does not say.
    """
    packages: dict[str, str] | None = entrant.lock["environment"].get("packages")
    if packages is not None:
        return packages.get(PACKAGE)
    if not wanted:
        return ""
    return entrant.answer(["python", "-c", ASK]).strip()


def checkpoint_name(setup: Setup) -> str:
    """Return the file of the state that the protocol selects.

    Raises:
        UsageError: nnU-Net does not select like this.
    """
    rule = setup.selection
    if rule.on == "last":
        return "checkpoint_final.pth"
    if rule.by == "dice":
        return "checkpoint_best.pth"
    raise UsageError(
        "nnU-Net keeps its last state, or the one of the best pseudo Dice; set on = 'last', or by "
        "= 'dice', in [selection]"
    )


class Nnunet:
    """nnU-Net on one split."""

    def __init__(self, setup: Setup, entrant: Entrant, work: WorkFolder) -> None:
        self._setup, self._entrant, self._work = setup, entrant, work
        self._own: NnunetRecipe = setup.parameters
        self._log, self._folders = work.path / "log.txt", Folders(work.path)
        self._plan: dict[str, Any] = {}

    def train(self) -> None:
        """Take each step that earlier attempts have not completed."""
        setup, own, work, folders = self._setup, self._own, self._work, self._folders
        progress = Progress(setup.on_epoch, setup.checkpoint, resumed=work.resumed)
        self._step("raw", lambda: folders.write_raw(setup))
        self._step("planned", self._make_plan)
        self._plan = folders.plans()["configurations"].get(own.configuration, {})
        if not work.did("trained"):
            write_trainer(own, setup.seed, work.path / "trainer")
            folders.write_split()
            self._train(progress)
            work.note("trained")

    def _step(self, name: str, take: Callable[[], None]) -> None:
        if not self._work.did(name):
            take()
            self._work.note(name)

    def _make_plan(self) -> None:
        own, folders = self._own, self._folders
        words = ["-d", NUMBER, "-pl", own.planner, "-overwrite_plans_name", PLANS]
        words += ["-c", own.configuration, "-np", "1", "-npfp", "1", "--verify_dataset_integrity"]
        self._run("nnUNetv2_plan_and_preprocess", words)
        planned = folders.plans()["configurations"]
        if own.configuration not in planned:
            raise UsageError(
                f"nnU-Net plans no {own.configuration} for these data; set configuration to "
                f"{' or '.join(name for name in planned if 'cascade' not in name)}"
            )
        if own.base_features:
            folders.narrow(own.configuration, own.base_features)

    def _train(self, progress: Progress) -> None:
        own = self._own
        progress.remember(self._epochs())
        log = EpochLog(own.epochs, self._names)
        latest = self._folders.results(own.configuration) / "checkpoint_latest.pth"
        saved = [_changed(latest)]

        def follow(line: str) -> None:
            before = log.heading
            if (epoch := log.read(line)) is not None:
                progress.tell(epoch, saved=False)
            # Behind an epoch, nnU-Net may have written what it continues from.
            if log.heading != before and (now := _changed(latest)) != saved[0]:
                saved[0] = now
                progress.keep()

        words = [NUMBER, own.configuration, FOLD, *self._named, "--c"]
        self._run("nnUNetv2_train", words, follow)
        progress.finish(self._epochs())

    @property
    def _names(self) -> list[str]:
        """What nnU-Net's pseudo Dice is of, in its order."""
        return trained_names(self._setup.task, regions=self._own.regions == "auto")

    @property
    def _named(self) -> list[str]:
        device = self._setup.device.partition(":")[0]
        return ["-tr", CLASS, "-p", PLANS, "-device", device]

    def _epochs(self) -> dict[int, Any]:
        return epochs_in(lines_of(self._log), self._own.epochs, self._names)

    def predict(self, subset: Subset) -> list[np.ndarray]:
        """Return the label map of each sample, uint8 of its shape."""
        own, folders, at = self._own, self._folders, self._entrant.environment
        writer, output = folders.begin_prediction()
        cases = writer.write(subset)
        words = ["-i", at.path(writer.images, folders.mounts)]
        words += ["-o", at.path(output, folders.mounts), "-d", NUMBER, "-c", own.configuration]
        words += ["-f", FOLD, *self._named, "-npp", "1", "-nps", "1"]
        words += ["-chk", checkpoint_name(self._setup), "--disable_progress_bar"]
        words += [] if own.mirroring else ["--disable_tta"]
        self._run("nnUNetv2_predict", words)
        found = read_label_maps(output, cases, "nnU-Net")
        folders.end_prediction()
        return found

    def _run(
        self,
        program: str,
        words: Sequence[str],
        on_line: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Run one of nnU-Net's programs."""
        at, folders = self._entrant.environment, self._folders
        mounts = folders.mounts
        named = {name: at.path(path, mounts) for name, path in folders.variables.items()}
        if self._own.workers:
            named["nnUNet_n_proc_DA"] = str(self._own.workers)
        self._entrant.run(
            [program, *words],
            self._work.path,
            self._log,
            mounts=mounts,
            variables=named,
            on_line=on_line,
        )

    @property
    def notes(self) -> dict[str, Any]:
        """Facts for the trial file; ``plan`` is that of the configuration."""
        packages = self._entrant.lock["environment"].get("packages", {})
        return {
            "nnunetv2": packages.get(PACKAGE, ""),
            "deterministic": False,
            "plan": {name: self._plan[name] for name in KEPT if name in self._plan},
        }

    @property
    def provenance(self) -> dict[str, Any]:
        """The packages of nnU-Net's environment, for the trial file."""
        return self._entrant.provenance


def _changed(path: Any) -> float:
    try:
        return float(path.stat().st_mtime)
    except OSError:
        return 0.0
