"""Explain the trained network of a trial on test samples, and measure the maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from mritk.batches.resident import ResidentImages
from mritk.data.rank import of_rank
from mritk.errors import MritkError
from mritk.evaluate.map_metrics import COLUMNS
from mritk.explain.attribution import attributed
from mritk.explain.case import Case, similarity
from mritk.explain.controls import random_places, with_random_weights
from mritk.explain.lent_network import LentNetwork
from mritk.files.workspace import Workspace
from mritk.images.subset import Subset
from mritk.model.model_file import TrainedModel
from mritk.records import Explainer
from mritk.store.explanations import RANDOM_PLACES, RANDOM_WEIGHTS, Explanations
from mritk.store.kept_model import kept_digest
from mritk.store.trial_file import TrialRecord
from mritk.trial import Trial

IMAGES_AT_ONCE, VOLUMES_AT_ONCE = 16, 4


@dataclass(eq=False)
class _Found:
    """What is known so far, case by case."""

    maps: dict[str, list[np.ndarray]] = field(default_factory=dict)
    rows: dict[str, list[list[float]]] = field(default_factory=dict)
    lesions: list[int] = field(default_factory=list)

    def forget(self, explainer: str) -> None:
        """Leave out what is known of an explainer and its control."""
        self.maps.pop(explainer, None)
        for row in (explainer, explainer + RANDOM_WEIGHTS):
            self.rows.pop(row, None)


@dataclass(frozen=True, eq=False)
class Explaining:
    """What is explained, and by what.

    Attributes:
        trial: The trial, its data open.
        record: What is stored of it.
        model: Its network, on the device and in evaluation mode.
        cases: (n,) positions in the test part.
        workspace: Where caches are.
        device: A torch device.
    """

    trial: Trial
    record: TrialRecord
    model: TrainedModel
    cases: np.ndarray
    workspace: Workspace
    device: str

    def usable(self, explainers: Sequence[Explainer]) -> dict[str, str]:
        """Return why explainers cannot explain this network, by name; those that can are not there.

        Each is called with the first case: what it refuses of other inputs does not matter.

        Raises:
            DataError: Its mask is not on the grid of its sample.
        """
        ((first, pixels),) = replace(self, cases=self.cases[:1])._batches()
        batch, outputs = self.model.normalised(pixels), _targets(first, pixels)
        refused, lent = {}, LentNetwork(self.model.network)
        for explainer in explainers:
            dims = len(self.model.input_shape) - 1
            if dims not in explainer.spatial_dims:
                refused[explainer.name] = f"it is not for {of_rank(dims, 'images', 'volumes')}"
                continue
            try:
                attributed(explainer, lent, batch, outputs)
            except MritkError as error:
                refused[explainer.name] = str(error)
        return refused

    def explain(
        self,
        explainers: Sequence[Explainer],
        progress: Callable[[str, float], None],
        failed: Callable[[str, str], None] = lambda name, reason: None,
    ) -> Explanations:
        """Return maps and scores of all cases.

        An explainer that fails on a case is left out, with its maps of earlier cases.

        Args:
            explainers: What explains.
            progress: Told what is done, and the share of it.
            failed: Told the name of an explainer that is left out, and why.

        Raises:
            MritkError: All explainers fail.
            DataError: A mask is not on the grid of its sample.
        """
        left = list(explainers)
        untrained = with_random_weights(self.model).to(self.device)
        networks = {"": self.model.network, RANDOM_WEIGHTS: untrained}
        lent = {ending: LentNetwork(network) for ending, network in networks.items()}
        found = _Found()
        for cases, pixels in self._batches():
            batch = self.model.normalised(pixels)
            maps: dict[str, np.ndarray] = {}
            for explainer in tuple(left):
                try:
                    maps |= _maps(explainer, lent, batch, cases)
                except MritkError as error:
                    left.remove(explainer)
                    if not left:
                        raise
                    found.forget(explainer.name)
                    failed(explainer.name, str(error))
            host = pixels.cpu().numpy()
            maps[RANDOM_PLACES] = np.stack(list(map(random_places, host, (c.id for c in cases))))
            for number, case in enumerate(cases):
                of_case = {name: values[number] for name, values in maps.items()}
                self._keep(case, of_case, found, lent[""])
                progress("explaining", len(found.lesions) / len(self.cases))
        test = self.record.predictions["test"].only(self.cases)
        return Explanations(
            trial=self.record.id,
            model=kept_digest(self.record),
            dataset_fingerprint=self.record.dataset_fingerprint,
            classes=self.record.task.classes,
            id=test.id,
            patient=test.patient,
            unit=test.unit,
            target=test.target,
            lesion=np.asarray(found.lesions, dtype=np.int64),
            maps=found.maps,
            columns=COLUMNS,
            scores={name: np.asarray(scores) for name, scores in found.rows.items()},
        )

    def _keep(
        self, case: Case, maps: Mapping[str, np.ndarray], found: _Found, lent: LentNetwork
    ) -> None:
        """Judge the maps of a case, and keep those of the trained network."""
        found.lesions.append(case.lesion_size)
        for name, values in maps.items():
            scores = {"similarity": math.nan, **case.scores(self.model, values)}
            lent.restore()  # each map is judged by the same network, whatever a pass leaves in it
            if name + RANDOM_WEIGHTS in maps:
                scores["similarity"] = similarity(values, maps[name + RANDOM_WEIGHTS])
                found.maps.setdefault(name, []).append(case.on_its_grid(values))
            found.rows.setdefault(name, []).append([scores[column] for column in COLUMNS])

    def _batches(self) -> Iterator[tuple[list[Case], torch.Tensor]]:
        """Yield cases and their pixels."""
        samples, backbone = self.trial.dataset.samples, self.trial.backbone
        assert backbone is not None  # there is a network
        # Samples may be read in another order than when the trial was trained.
        names = self.record.predictions["test"].id
        rows = np.asarray([samples.row_of[names[place]] for place in self.cases.tolist()])
        grid = backbone.input.grid(self.trial.input_size)
        subset = Subset.of(samples, rows, self.workspace, self.trial.protocol.preprocessing)
        dims = len(self.model.input_shape) - 1
        resident = ResidentImages(
            subset.images(grid, backbone.input.interpolation),
            dims,
            self.device,
            channels_first=bool(samples.channels),
        )
        at_once = of_rank(dims, IMAGES_AT_ONCE, VOLUMES_AT_ONCE)
        for chosen in torch.arange(len(rows)).split(at_once):
            pixels = resident.batch(chosen)
            of_batch = zip(rows[chosen.numpy()].tolist(), pixels, strict=True)
            yield [Case.of(samples, row, one, grid) for row, one in of_batch], pixels


def _maps(
    explainer: Explainer,
    networks: Mapping[str, LentNetwork],
    batch: torch.Tensor,
    cases: Sequence[Case],
) -> dict[str, np.ndarray]:
    """Return the maps of a batch by the explainer, with the ending of each network."""
    targets = _targets(cases, batch)
    return {
        explainer.name + ending: attributed(explainer, network, batch, targets)
        for ending, network in networks.items()
    }


def _targets(cases: Sequence[Case], batch: torch.Tensor) -> torch.Tensor:
    """Return the class of each case of a batch, (N,) int64, where the batch is."""
    return torch.tensor([case.target for case in cases], device=batch.device)
