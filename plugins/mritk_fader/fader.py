"""The method ``fader``: an autoencoder without the site, then logistic regression."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Any

import numpy as np

from mritk import Epoch, MritkError, Setup, Subset
from mritk.train import choose_penalty, fit_logistic, repeatable
from mritk_fader.autoencoder import FaderAutoencoder
from mritk_fader.recipe import FaderRecipe


def fit_fader(setup: Setup) -> Fader:
    """Train the autoencoder on the unlabelled samples, or on the training set without any.

    Raises:
        UsageError: Sites are not known, there is one, sides do not fit the levels, or the
            selection rule has no value for any penalty.
        DataError: A class has no training sample.
        MritkError: Training diverged.
    """
    with repeatable(setup.device, deterministic=setup.deterministic):
        pool = setup.train if setup.unlabelled is None else setup.unlabelled
        autoencoder = FaderAutoencoder(setup, pool)
        _train(setup, autoencoder)
        return Fader(setup, autoencoder, pool)


def _train(setup: Setup, autoencoder: FaderAutoencoder) -> None:
    own: FaderRecipe = setup.parameters
    checkpoint = setup.checkpoint
    saved = checkpoint.load() if checkpoint is not None else None
    done = 0
    if saved is not None:
        autoencoder.load(saved["networks"])
        done = int(saved["epoch"])
    for epoch in range(done + 1, own.epochs + 1):
        began = time.perf_counter()
        terms = autoencoder.train_epoch(epoch)
        autoencoder.evaluate()
        val_error = autoencoder.reconstruction_error(setup.val)
        if not math.isfinite(terms["reconstruction"] + val_error):
            raise MritkError(f"the loss is not finite in epoch {epoch}; lower learning_rate")
        setup.on_epoch(
            Epoch(
                epoch=epoch,
                epochs=own.epochs + len(_penalties(setup)),
                stage="autoencoder",
                learning_rate=own.learning_rate,
                train_loss=terms.pop("reconstruction"),
                val_loss=val_error,
                selection=math.nan,
                seconds=time.perf_counter() - began,
                extra=terms,
            )
        )
        if checkpoint is not None and getattr(checkpoint, "worthwhile", True):
            checkpoint.save({"epoch": epoch, "networks": autoencoder.state()})
    autoencoder.evaluate()


def _penalties(setup: Setup) -> tuple[float, ...]:
    penalties: tuple[float, ...] = setup.parameters.penalties
    return penalties if setup.selection.on == "val" else penalties[:1]


class Fader:
    """A trained autoencoder and a logistic regression on its features.

    Attributes:
        autoencoder: With its networks in evaluation mode.
    """

    def __init__(self, setup: Setup, autoencoder: FaderAutoencoder, pool: Subset) -> None:
        """Fit the logistic regression for each penalty, each told like an epoch; choose one."""
        self._setup, self.autoencoder, self._pool = setup, autoencoder, pool
        features, penalties = autoencoder.features(setup.train), _penalties(setup)
        began = time.perf_counter()
        fit = fit_logistic(features, setup.train.targets, setup.task.outputs, penalties)
        seconds = (time.perf_counter() - began) / len(penalties)
        train = fit.logits(features).float().numpy()
        val = fit.logits(autoencoder.features(setup.val)).float().numpy()
        self._number = choose_penalty(
            setup,
            penalties,
            lambda number: (train[number], val[number]),
            seconds=seconds,
            before=setup.parameters.epochs,
        )
        self._weight = fit.weight[self._number].numpy()
        self._bias = fit.bias[self._number].numpy()

    def predict(self, subset: Subset) -> np.ndarray:
        """Return float32 logits (N, classes)."""
        features = self.embed(subset).astype(np.float64)
        return (features @ self._weight.T + self._bias).astype(np.float32)

    def embed(self, subset: Subset) -> np.ndarray:
        """Return the features of each sample, (N, F) float32."""
        setup = self._setup
        with repeatable(setup.device, deterministic=setup.deterministic):
            return self.autoencoder.features(subset).numpy()

    def reconstruct(self, subset: Subset, site: str = "") -> np.ndarray:
        """Return each sample as decoded, (N, C, *spatial) float32.

        Args:
            subset: The samples.
            site: As if all were of this site; empty: each of its own.

        Raises:
            UsageError: The decoder does not know the site.
        """
        setup = self._setup
        with repeatable(setup.device, deterministic=setup.deterministic):
            return self.autoencoder.reconstructed(subset, site).numpy()

    @property
    def model_cost(self) -> dict[str, float]:
        """Parameters: of encoder and regression; trained ones: of all networks."""
        counts, linear = self.autoencoder.parameter_counts, self._weight.size + self._bias.size
        return {
            "parameters": float(counts["encoder"] + linear),
            "trained_parameters": float(sum(counts.values()) + linear),
        }

    @property
    def notes(self) -> dict[str, Any]:
        """Facts for the trial file."""
        setup, own = self._setup, self._setup.parameters
        return {
            "parameters": sum(self.autoencoder.parameter_counts.values()),
            "selected_epoch": own.epochs + self._number + 1,
            "selected_penalty": _penalties(setup)[self._number],
            "autoencoder_samples": len(self._pool),
            "autoencoder_sites": dict(sorted(Counter(self._pool.samples.sites or ()).items())),
        }
