"""The loss of a task, and the way from network outputs to scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mritk.tasks.classification import Classification
from mritk.tasks.task import Task


class Objective:
    """Cross-entropy for a classification, squared error of standardised targets for a regression.

    Attributes:
        targets: (N,) training targets in the form expected by the loss, on the device.
        couples_samples: Whether the loss of a batch is more than the mean of those of its samples,
            so that no batch may be divided; a further term of a subclass may be of that kind.
        replayable: Whether ``loss`` may be recorded once as a CUDA graph and replayed: Python does
            not run again, so what it keeps must be in tensors that it changes in place. A subclass
            says so itself; it does not inherit the answer.
    """

    couples_samples = False
    replayable = True

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Let a subclass be replayable only if it says so."""
        super().__init_subclass__(**arguments)
        cls.replayable = cls.__dict__.get("replayable", False)

    def __init__(
        self,
        task: Task,
        targets: np.ndarray,
        device: str,
        *,
        label_smoothing: float = 0.0,
        balanced: bool = False,
        weigh_samples: bool = False,
    ) -> None:
        """Take what the loss is made of.

        Args:
            task: What is predicted.
            targets: (N,) of the training part.
            device: Where the loss is computed.
            label_smoothing: Share of a target that is spread over all classes.
            balanced: Weigh classes by :func:`balanced_weights`.
            weigh_samples: A weight multiplies the whole loss of a sample, and the sum is divided
                by the number of samples; else as in :func:`torch.nn.functional.cross_entropy`.
        """
        self.task, self.device = task, device
        self._smoothing, self._weigh_samples = label_smoothing, weigh_samples
        self._weights: torch.Tensor | None = None
        self._center, self._scale = 0.0, 1.0
        if isinstance(task, Classification):
            if balanced:
                weights = balanced_weights(targets, task.outputs)
                self._weights = torch.tensor(weights, dtype=torch.float32, device=device)
        else:
            # Rounding may leave a spread to equal targets, by which all others would be divided.
            spread = float(targets.std()) if len(np.unique(targets)) > 1 else 0.0
            self._center, self._scale = float(targets.mean()), spread or 1.0
        self.targets = self.prepare(targets)

    @staticmethod
    def arguments_of(recipe: Any) -> dict[str, Any]:
        """Return the arguments that a recipe has for it, by name."""
        return {
            "label_smoothing": recipe.label_smoothing,
            "balanced": recipe.class_weights == "balanced",
            "weigh_samples": recipe.class_weights_per == "sample",
        }

    def prepare(self, targets: np.ndarray) -> torch.Tensor:
        """Return targets for :meth:`loss`: class indices or standardised values."""
        if isinstance(self.task, Classification):
            return torch.from_numpy(targets).to(self.device)
        standardised = (targets - self._center) / self._scale
        return torch.from_numpy(standardised.astype(np.float32)).to(self.device)

    def soft(self, targets: torch.Tensor) -> torch.Tensor:
        """Return prepared targets in a form that can be mixed: class probabilities, or values."""
        if isinstance(self.task, Classification):
            return functional.one_hot(targets, self.task.outputs).float()
        return targets

    def share(self, part: torch.Tensor, whole: torch.Tensor) -> torch.Tensor | float:
        """Return the weight of the mean loss of a micro-batch in that of the batch.

        It is the fraction of samples, or of their weights: torch divides by the weights of hard
        targets.
        """
        if self._weights is None or self._weigh_samples or whole.is_floating_point():
            return len(part) / len(whole)
        return self._weights[part].sum() / self._weights[whole].sum()

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the training loss of outputs (N, K), with smoothing and class weights.

        Args:
            outputs: Outputs of the network.
            targets: Targets from :meth:`prepare` or :meth:`soft`.
        """
        if self._weights is None:
            return self.unweighted_loss(outputs, targets)
        if self._weigh_samples:
            losses = functional.cross_entropy(
                outputs, targets, label_smoothing=self._smoothing, reduction="none"
            )
            return (self._weights[targets] * losses).mean()
        return functional.cross_entropy(
            outputs, targets, weight=self._weights, label_smoothing=self._smoothing
        )

    def epoch_terms(self) -> dict[str, float]:
        """Return further numbers of the epoch that ends, for its history, and begin another one."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return what :meth:`load` takes: what the loss remembers of earlier batches."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Resume from a :meth:`state`."""

    def unweighted_loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the training loss without class weights."""
        if isinstance(self.task, Classification):
            return functional.cross_entropy(outputs, targets, label_smoothing=self._smoothing)
        return functional.mse_loss(outputs[:, 0], targets)

    def plain_loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss without smoothing or weights, used to compare checkpoints."""
        if isinstance(self.task, Classification):
            return functional.cross_entropy(outputs, targets)
        return functional.mse_loss(outputs[:, 0], targets)

    def loss_of_scores(self, scores: np.ndarray, targets: np.ndarray) -> float:
        """Return :meth:`plain_loss` of what :meth:`scores` returns: (N, classes), or (N,)."""
        if isinstance(self.task, Classification):
            outputs = torch.from_numpy(np.ascontiguousarray(scores))
        else:
            outputs = self.prepare(scores.astype(np.float64))[:, None]
        return float(self.plain_loss(outputs, self.prepare(targets)))

    @property
    def scaling(self) -> tuple[float, float]:
        """Center and scale of the targets: a value is ``output · scale + center``."""
        return self._center, self._scale

    def scores(self, outputs: torch.Tensor) -> np.ndarray:
        """Return logits (N, classes), or values (N,) in the unit of the target, as float32."""
        values = outputs.detach().float().cpu().numpy()
        if isinstance(self.task, Classification):
            return values
        return (values[:, 0] * self._scale + self._center).astype(np.float32)


def balanced_weights(targets: np.ndarray, classes: int) -> np.ndarray:
    """Return n / (classes · n_class) for each class, as scikit-learn's ``balanced``."""
    counts = np.bincount(targets, minlength=classes)
    return len(targets) / (classes * counts)
