"""A table of scans, one file a row, and the samples that it makes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mritk import (
    DataError,
    PassedOver,
    Recent,
    Samples,
    Task,
    Unavailable,
    read_image,
    sha256_of,
)
from mritk_folders.kind import Kind, common_kind, kind_of
from mritk_folders.slicing import axial_slices

logger = logging.getLogger("mritk")


def read_scan(path: Path) -> np.ndarray:
    """Return the image, uint8 (H, W) or (H, W, 3), or the volume, uint8 (D, H, W), of a file.

    Raises:
        DataError: See :func:`mritk.read_image` and :func:`mritk_folders.nifti.read_volume`.
    """
    if kind_of(path.name) is Kind.VOLUME:
        from mritk_folders.nifti import read_volume

        return read_volume(path)
    return read_image(path)


@dataclass(frozen=True)
class ScanTable:
    """N files with what is known of each.

    Attributes:
        folder: Where the files are.
        names: N paths relative to ``folder``, with ``/``.
        targets: N class indices or values.
        task: What is predicted.
        patients: N patients, or None; ``sites``, ``sources`` and ``splits`` likewise.
        passed_over: What lies in ``folder`` and is no sample.
        called: What messages call ``folder``; empty: its path.
        dataset: Name of the dataset without options, such as ``folder:brains``.
        covariates: Further columns by name, N texts or numbers each.
        masks: N paths of label maps relative to ``folder``; None: the task has none.
    """

    folder: Path
    names: Sequence[str]
    targets: np.ndarray
    task: Task
    patients: Sequence[str] | None = None
    sites: Sequence[str] | None = None
    sources: Sequence[str] | None = None
    splits: Sequence[str] | None = None
    passed_over: Sequence[PassedOver] = ()
    called: str = ""
    dataset: str = ""
    covariates: Mapping[str, np.ndarray] = field(default_factory=dict)
    masks: Sequence[str] | None = None

    def samples(self, slices: int) -> Samples:
        """Return one sample per file, or per axial slice of it.

        Args:
            slices: Slices per volume, which are samples ``NAME#0``, ``NAME#1``, … from inferior to
                superior, of the patient of their volume; 0: images and volumes as they are.

        Raises:
            DataError: Images and volumes are mixed, or slices are asked of images.
            Unavailable: Files are links that lead nowhere.
        """
        called = self.called or str(self.folder)
        kind = common_kind(self.names, called)
        if kind is Kind.IMAGE and slices:
            raise DataError(
                f"{called} contains images such as {self.names[0]}, which have no slices; remove "
                f"slices={slices}"
            )
        if self.masks is not None and kind is Kind.IMAGE:
            raise DataError(
                f"{called} lists label maps of images such as {self.names[0]}, but a manifest "
                "takes label maps of NIfTI volumes only; write a dataset plugin with read_target"
            )
        if self.masks is not None and slices:
            raise DataError(f"{called} lists label maps, which are of volumes; remove slices")
        self._refuse_dangling_links()
        if self.masks is not None:
            from mritk_folders.mask_place import refuse_masks_elsewhere

            refuse_masks_elsewhere(self.folder, self.names, self.masks)
        paths = [self.folder / name for name in self.names]
        if not slices:
            return self._repeated(
                self.names,
                read=lambda i: read_scan(paths[i]),
                digest=lambda i: sha256_of(paths[i]),
                spatial_dims=kind.value,
                spacing=self._spacing() if kind is Kind.VOLUME else None,
                affine=self._read_affine if kind is Kind.VOLUME else None,
            )
        if self.patients is None:
            logger.warning(
                "%s,slices=%d has no patient ids, so slices of one volume may be in different "
                "splits; --patient-regex '(.+)#' keeps them together",
                self.dataset or called,
                slices,
            )
        # A volume is read, and its file digested, once for all its slices.
        sliced: Recent[Path, np.ndarray] = Recent(lambda p: axial_slices(read_scan(p), slices))
        digested = Recent(sha256_of)
        return self._repeated(
            [f"{name}#{k}" for name in self.names for k in range(slices)],
            read=lambda i: sliced(paths[i // slices])[i % slices],
            digest=lambda i: _slice_digest(digested(paths[i // slices]), i % slices, slices),
            spatial_dims=2,
        )

    def _repeated(
        self,
        ids: Sequence[str],
        *,
        read: Callable[[int], np.ndarray],
        digest: Callable[[int], str],
        spatial_dims: int,
        spacing: np.ndarray | None = None,
        affine: Callable[[int], np.ndarray] | None = None,
    ) -> Samples:
        """Return samples ``ids``, of which every file has equally many."""
        each = len(ids) // len(self.names)

        def repeat(column: Sequence[str] | None) -> list[str] | None:
            return None if column is None else [value for value in column for _ in range(each)]

        return Samples(
            ids=tuple(ids),
            targets=np.repeat(self.targets, each),
            task=self.task,
            read=read,
            digest=digest,
            spatial_dims=spatial_dims,
            patients=repeat(self.patients),
            sites=repeat(self.sites),
            sources=repeat(self.sources),
            splits=repeat(self.splits),
            passed_over=self.passed_over,
            read_target=self._read_label_map if self.masks is not None else None,
            spacing=spacing,
            covariates={n: np.repeat(column, each) for n, column in self.covariates.items()},
            affine=affine,
        )

    def _read_label_map(self, i: int) -> np.ndarray:
        from mritk_folders.nifti import read_label_map

        return read_label_map(self.folder / (self.masks or ())[i])

    def _read_affine(self, i: int) -> np.ndarray:
        from mritk_folders.nifti import read_affine

        return read_affine(self.folder / self.names[i])

    def _spacing(self) -> np.ndarray | None:
        """Return the spacing of all volumes, (N, 3) mm; None if a file does not state it."""
        from mritk_folders.nifti import read_spacing

        found = np.ones((len(self.names), 3))
        for row, name in enumerate(self.names):
            try:
                stated = read_spacing(self.folder / name)
            except DataError:  # the volume cannot be read either, and will be reported
                continue
            if stated is None:
                return None
            found[row] = stated
        return found

    def _refuse_dangling_links(self) -> None:
        """Datasets under git-annex are folders of links until their content is fetched."""
        dangling = [name for name in self.names if not (self.folder / name).exists()]
        if dangling:
            raise Unavailable(
                f"{len(dangling)} of {len(self.names)} files in {self.called or self.folder} are "
                f"links to missing content, such as {dangling[0]}; download it ('datalad get', "
                "'git annex get'), or remove the links"
            )


def _slice_digest(volume: str, position: int, count: int) -> str:
    return hashlib.sha256(f"{volume} axial slice {position} of {count}".encode()).hexdigest()
