"""A method as its checks see it: trained on 18 small images, scored on others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Any

import numpy as np

from mritk.backbone import Backbone
from mritk.data.samples import Samples
from mritk.files.workspace import Workspace
from mritk.images.subset import Subset
from mritk.method import Method, Setup, ignore_epoch
from mritk.records import Augmentation
from mritk.testing.check import NotApplicable, UnderTest
from mritk.testing.tiny import SIDE, tiny_architecture, tiny_label_maps, tiny_samples

if TYPE_CHECKING:
    from mritk.method import Epoch, Fitted

# Of 36 samples, three of each patient, 18 train, 9 select and 9 test.
TRAIN, VAL, TEST = np.arange(18), np.arange(18, 27), np.arange(27, 36)


@dataclass
class Training:
    """One training: what was told on the way, and the trained model."""

    fitted: Fitted
    epochs: list[Epoch]
    augmented: int


class MethodUnderTest(UnderTest[Method]):
    """A method, with parameters that train in seconds on 18 small images.

    Attributes:
        parameters: The parameters.
        folder: Where files of :attr:`undisturbed` stand.
    """

    def __init__(self, method: Method, parameters: Any, folder: Path) -> None:
        super().__init__(method)
        self.parameters, self.folder = parameters, folder

    def samples(self, seed: int = 0) -> Samples:
        """Return 36 small images with classes, or with label maps for a method of those alone."""
        classes, maps = tiny_samples(seed=seed), tiny_label_maps(seed=seed)
        only_maps = self.record.learns(maps.task.kind) and not self.record.learns(classes.task.kind)
        return maps if only_maps else classes

    def train(
        self, samples: Samples, folder: Path, on_epoch: Callable[[Epoch], None] = ignore_epoch
    ) -> Training:
        """Train on the training part of ``samples``; checkpoints stand in ``folder``.

        Raises:
            NotApplicable: The method is for other kinds of tasks.
        """
        from mritk.train.checkpoint import Checkpoint

        if not self.record.learns(samples.task.kind):
            kinds = " and ".join(self.record.tasks)
            raise NotApplicable(f"it is for {kinds}, and only {samples.task.kind} is tried here")

        # Some methods learn from several sites.
        samples = replace(samples, sites=[f"site-{i // 3 % 2}" for i in range(len(samples))])
        history: list[Epoch] = []
        calls = 0

        def keep(epoch: Epoch) -> None:
            history.append(epoch)
            on_epoch(epoch)

        def brighten(images: Any, generator: Any) -> Any:
            nonlocal calls
            import torch

            calls += 1
            shift = torch.rand(len(images), generator=generator).reshape(
                -1, *[1] * (images.ndim - 1)
            )
            return (images + 0.05 * shift.to(images)).clamp(0, 1)

        checkpoint = Checkpoint(folder / "checkpoint", {}, history, every=0.0)
        augmentation = Augmentation("brighten", brighten, spatial_dims=(2, 3))
        if not self.record.uses_augmentation:
            augmentation = Augmentation("none", None, spatial_dims=(2, 3))
        try:
            workspace = Workspace(folder / "home", offline=True)
            train = Subset.of(samples, TRAIN, workspace)
            setup = Setup(
                parameters=self.parameters,
                task=samples.task,
                train=train,
                unlabelled=train.without_targets() if self.record.uses_unlabelled else None,
                val=Subset.of(samples, VAL, workspace),
                augmentation=augmentation,
                seed=0,
                workspace=workspace,
                backbone=Backbone(tiny_architecture()) if self.record.uses_backbone else None,
                image_size=SIDE,
                volume_size=SIDE,
                checkpoint=checkpoint,
                on_epoch=keep,
            )
            return Training(self.record.fit(setup), history, calls)
        finally:
            checkpoint.close()

    def scores(self, training: Training, samples: Samples, rows: np.ndarray) -> np.ndarray:
        """Return the scores of the samples at ``rows``."""
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            part = Subset.of(samples, rows, Workspace(Path(folder), offline=True))
            return np.array(training.fitted.predict(part))

    def trained_and_scored(self, samples: Samples, rows: np.ndarray) -> np.ndarray:
        """Train from nothing and return the scores of ``rows``."""
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            return self.scores(self.train(samples, Path(folder)), samples, rows)

    @cached_property
    def undisturbed(self) -> Training:
        """One undisturbed training on :meth:`samples`, which several checks look at."""
        # A training that failed may have left a checkpoint, which the next one must not resume.
        return self.train(self.samples(), Path(mkdtemp(dir=self.folder)))

    @cached_property
    def reference(self) -> np.ndarray:
        """Its scores of validation and test samples."""
        return self.scores(self.undisturbed, self.samples(), np.concatenate([VAL, TEST]))

    @cached_property
    def val_reference(self) -> np.ndarray:
        """Those of the validation samples, scored alone.

        A processor may round otherwise in a batch of another size.
        """
        return self.scores(self.undisturbed, self.samples(), VAL)
