"""An autoencoder and its adversary, trained in turns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from mritk import Setup, Subset, UsageError, derive
from mritk_fader.networks import Decoder, adversary, encoder, features_of
from mritk_fader.recipe import FaderRecipe
from mritk_fader.scans import Scans, codes_of, sites_of


class FaderAutoencoder:
    """Encoder, decoder and adversary, and the scans that they are trained on.

    Attributes:
        sites: Names of the K sites that decoder and adversary know.
        encoder: (N, C, *spatial) to latent values.
        decoder: Latent values and sites back to (N, C, *spatial).
        adversary: Features to one logit per site.
    """

    def __init__(self, setup: Setup, subset: Subset) -> None:
        """Build the networks for the scans of ``subset``.

        Raises:
            UsageError: Sites are not known, there is one, or sides do not fit the levels.
        """
        own: FaderRecipe = setup.parameters
        self._setup, self._own = setup, own
        self.sites = sites_of(subset)
        self._scans = scans = Scans(setup, subset)
        self._codes = codes_of(subset.samples.sites, self.sites, len(scans)).to(setup.device)
        self._size = min(own.batch_size, len(scans))
        latent = own.width * 2 ** (own.levels - 1)
        cells = math.prod(side // 2**own.levels for side in scans.sides)
        features = latent if own.features == "mean" else latent * cells
        sizes = (scans.channels, own.width, own.levels)
        with torch.random.fork_rng(devices=()):
            torch.default_generator.manual_seed(derive(setup.seed, "initialisation"))
            self.encoder = encoder(*sizes, scans.spatial_dims).to(setup.device)
            self.decoder = Decoder(*sizes, len(self.sites), scans.spatial_dims).to(setup.device)
            self.adversary = adversary(features, len(self.sites), own.dropout).to(setup.device)
        parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self._optimiser = torch.optim.Adam(parameters, own.learning_rate)
        self._opponent = torch.optim.Adam(self.adversary.parameters(), own.adversary_rate)
        self._networks = nn.ModuleDict(
            {"encoder": self.encoder, "decoder": self.decoder, "adversary": self.adversary}
        )
        optimisers = {"optimiser": self._optimiser, "opponent": self._opponent}
        self._stateful: dict[str, Any] = {**self._networks, **optimisers}

    @property
    def steps(self) -> int:
        """Steps of the autoencoder in an epoch; scans of an incomplete batch are left out."""
        return len(self._scans) // self._size

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Train for an epoch, counted from 1; return the means of its terms, and what was done.

        ``reconstruction`` is the mean squared error, ``adversary`` its loss and ``adversary
        right`` the share of its batches' scans whose site it tells.
        """
        own, adversarial = self._own, self._own.adversary_weight > 0
        self._networks.train()
        order = self._drawn("order", epoch)
        errors, told = [], [torch.zeros(2, device=self._codes.device)]
        weight = 0.0
        for step in range(self.steps):
            torch.manual_seed(derive(self._setup.seed, "dropout", epoch, step))
            for turn in range(own.adversary_steps if adversarial else 0):
                rows = self._drawn("adversary", epoch, step, turn)[: self._size]
                told.append(self._adversary_step(rows))
            weight = self.weight((epoch - 1) * self.steps + step)
            rows = order[step * self._size : (step + 1) * self._size]
            errors.append(self._autoencoder_step(rows, weight))
        counts = {"autoencoder steps": float(self.steps)}
        terms = {"reconstruction": float(torch.stack(errors).mean()), "weight": weight}
        if adversarial:
            loss, right = torch.stack(told[1:]).mean(dim=0).tolist()
            terms |= {"adversary": loss, "adversary right": right}
            counts["adversary steps"] = float(len(told) - 1)
        return terms | counts

    def weight(self, step: int) -> float:
        """Return λ of a step, counted from 0 over all epochs."""
        last = self._own.epochs * self.steps - 1
        return self._own.adversary_weight * step / max(1, last)

    def _adversary_step(self, rows: torch.Tensor) -> torch.Tensor:
        """Train the adversary alone; return its loss and the share of sites that it tells."""
        codes = self._codes[rows]
        with torch.no_grad():
            latent = self.encoder(self._scans.batch(rows))
        logits = self.adversary(features_of(latent, self._own.features))
        loss = functional.binary_cross_entropy_with_logits(logits, codes)
        self._opponent.zero_grad()
        loss.backward()
        self._opponent.step()
        right = (logits.argmax(dim=1) == codes.argmax(dim=1)).float().mean()
        return torch.stack([loss.detach(), right])

    def _autoencoder_step(self, rows: torch.Tensor, weight: float) -> torch.Tensor:
        """Train encoder and decoder alone; return the mean squared error."""
        codes, scans = self._codes[rows], self._scans.batch(rows)
        latent = self.encoder(scans)
        error = functional.mse_loss(self.decoder(latent, codes), scans)
        loss = error
        if weight:
            logits = self.adversary(features_of(latent, self._own.features))
            loss = error + weight * functional.binary_cross_entropy_with_logits(logits, 1 - codes)
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        return error.detach()

    def _drawn(self, *names: str | int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(derive(self._setup.seed, *names))
        return torch.randperm(len(self._scans), generator=generator)

    # -- what a trained one is asked for -----------------------------------------------------------

    def evaluate(self) -> None:
        """Put the networks into evaluation mode."""
        self._networks.eval()

    def features(self, subset: Subset) -> torch.Tensor:
        """Return the features of each sample, (N, F) float32 on the CPU."""
        found = []
        with torch.inference_mode():
            for _, scans in Scans(self._setup, subset).in_order(self._own.batch_size):
                found.append(features_of(self.encoder(scans), self._own.features).cpu())
        return torch.cat(found)

    def reconstructed(self, subset: Subset, site: str = "") -> torch.Tensor:
        """Return each sample as decoded, (N, C, *spatial) float32 on the CPU.

        Args:
            subset: The samples.
            site: As if all were of this site; empty: each of its own.

        Raises:
            UsageError: The decoder does not know the site.
        """
        if site and site not in self.sites:
            raise UsageError(
                f"the decoder knows no site {site!r} and would draw scans of none; give one of "
                f"{', '.join(self.sites)}"
            )
        return torch.cat([decoded.cpu() for _, decoded in self._decoded(subset, site)])

    def reconstruction_error(self, subset: Subset) -> float:
        """Return the mean squared error of all samples, each decoded as of its own site."""
        pairs = self._decoded(subset, "")
        errors = [(decoded - scans).square().flatten(1).mean(dim=1) for scans, decoded in pairs]
        return float(torch.cat(errors).mean())

    def _decoded(self, subset: Subset, site: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        sites = [site] * len(subset) if site else subset.samples.sites
        codes = codes_of(sites, self.sites, len(subset)).to(self._codes.device)
        with torch.inference_mode():
            for rows, scans in Scans(self._setup, subset).in_order(self._own.batch_size):
                yield scans, self.decoder(self.encoder(scans), codes[rows])

    @property
    def parameter_counts(self) -> dict[str, int]:
        """Number of parameters of each network."""
        networks = self._networks.items()
        return {n: sum(p.numel() for p in network.parameters()) for n, network in networks}

    def state(self) -> dict[str, Any]:
        """Return what :meth:`load` takes."""
        return {name: part.state_dict() for name, part in self._stateful.items()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state`."""
        for name, part in self._stateful.items():
            part.load_state_dict(state[name])
