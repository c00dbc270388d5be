"""A table of scans, one file a row, and the samples that it makes."""

from __future__ import annotations

import hashlib
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
from mritk_folders.holes import Holes
from mritk_folders.kind import Kind, common_kind, kind_of
from mritk_folders.slicing import axial_slices

# Threads read so many neighbouring samples at a time.
NEIGHBOURS = 8


# A sample, and the share of it that is no number in its file.
Part = tuple[np.ndarray, float]


def read_scan(path: Path) -> Part:
    """Return the image, uint8 (H, W) or (H, W, 3), or the volume, uint8 (D, H, W), of a file.

    With it comes the share of a volume that is NaN or infinite in the file.

    Raises:
        DataError: See :func:`mritk.read_image` and :func:`mritk_folders.nifti.read_volume`.
    """
    if kind_of(path.name) is Kind.VOLUME:
        from mritk_folders.nifti import read_with_holes

        return read_with_holes(path)
    return read_image(path), 0.0


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
    covariates: Mapping[str, np.ndarray] = field(default_factory=dict)
    masks: Sequence[str] | None = None

    def samples(self, slices: int = 0, frames: int = 0) -> Samples:
        """Return one sample per file, or per axial slice or frame of it.

        Args:
            slices: Slices per volume, which are samples ``NAME#0``, ``NAME#1``, … from inferior to
                superior, of the patient of their volume; 0: images and volumes as they are.
            frames: Volumes of each series, by :func:`mritk_folders.frames.frame_rows`; likewise
                samples ``NAME#0``, …, of one patient, place and label map. 0: no file is a series.

        Raises:
            DataError: Images and volumes are mixed, slices or frames are asked of images, or more
                frames of a file than it has.
            Unavailable: Files are links that lead nowhere.
        """
        called = self.called or str(self.folder)
        kind = common_kind(self.names, called)
        if kind is Kind.IMAGE and (slices or frames):
            what = "slices" if slices else "frames"
            raise DataError(
                f"{called} contains images such as {self.names[0]}, which have no {what}; remove "
                f"{what}={slices or frames}"
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
            from mritk_folders.place import refuse_elsewhere

            refuse_elsewhere(self.folder, list(zip(self.names, self.masks, strict=True)))
        paths = [self.folder / name for name in self.names]
        if slices:

            def sliced(path: Path) -> Sequence[Part]:
                volume, holes = read_scan(path)
                return [(image, holes) for image in axial_slices(volume, slices)]

            return self._cut(paths, slices, sliced, "axial slice", Kind.IMAGE)
        if frames:
            from mritk_folders.frames import read_evenly, refuse_short_series

            refuse_short_series(self.folder, self.names, frames)
            return self._cut(paths, frames, lambda p: read_evenly(p, frames), "frame", Kind.VOLUME)
        return self._repeated(
            self.names,
            read=lambda i: read_scan(paths[i]),
            digest=lambda i: sha256_of(paths[i]),
            kind=kind,
        )

    def _cut(
        self,
        paths: Sequence[Path],
        each: int,
        cut: Callable[[Path], Sequence[Part | DataError]],
        part: str,
        kind: Kind,
    ) -> Samples:
        """Return ``each`` parts of every file as samples, ``part`` in words."""
        # A file is read, and digested, once for all its parts.
        parts: Recent[Path, Sequence[Part | DataError]] = Recent(cut, 1 + -(-NEIGHBOURS // each))
        digested = Recent(sha256_of)

        def read(i: int) -> Part:
            found = parts(paths[i // each])[i % each]
            if isinstance(found, DataError):
                raise found.with_traceback(None)
            return found

        def digest(i: int) -> str:
            text = f"{digested(paths[i // each])} {part} {i % each} of {each}"
            return hashlib.sha256(text.encode()).hexdigest()

        return self._repeated(
            [f"{name}#{k}" for name in self.names for k in range(each)],
            read=read,
            digest=digest,
            kind=kind,
        )

    def _repeated(
        self,
        ids: Sequence[str],
        *,
        read: Callable[[int], Part],
        digest: Callable[[int], str],
        kind: Kind,
    ) -> Samples:
        """Return samples ``ids``, of which every file has equally many."""
        each, volumes = len(ids) // len(self.names), kind is Kind.VOLUME
        spacing = None
        if volumes:
            from mritk_folders.nifti import spacing_of_all

            spacing = spacing_of_all([self.folder / name for name in self.names])
        known = Holes(read)

        def repeat(column: Sequence[str] | None) -> list[str] | None:
            return None if column is None else [value for value in column for _ in range(each)]

        return Samples(
            ids=tuple(ids),
            targets=np.repeat(self.targets, each),
            task=self.task,
            read=known.read,
            digest=digest,
            spatial_dims=kind.value,
            patients=repeat(self.patients),
            sites=repeat(self.sites),
            sources=repeat(self.sources),
            splits=repeat(self.splits),
            passed_over=self.passed_over,
            read_target=self._label_maps(each) if self.masks is not None else None,
            spacing=None if spacing is None else np.repeat(spacing, each, axis=0),
            covariates={n: np.repeat(column, each) for n, column in self.covariates.items()},
            affine=self._affines(each) if volumes else None,
            scans=repeat(self.names) if each > 1 else None,
            holes=None if kind_of(self.names[0]) is Kind.IMAGE else known.share,
        )

    def _label_maps(self, each: int) -> Callable[[int], np.ndarray]:
        from mritk_folders.nifti import read_label_map

        return lambda i: read_label_map(self.folder / (self.masks or ())[i // each])

    def _affines(self, each: int) -> Callable[[int], np.ndarray]:
        from mritk_folders.nifti import read_affine

        return lambda i: read_affine(self.folder / self.names[i // each])

    def _refuse_dangling_links(self) -> None:
        """Datasets under git-annex are folders of links until their content is fetched."""
        dangling = [name for name in self.names if not (self.folder / name).exists()]
        if dangling:
            raise Unavailable(
                f"{len(dangling)} of {len(self.names)} files in {self.called or self.folder} are "
                f"links to missing content, such as {dangling[0]}; download it ('datalad get', "
                "'git annex get'), or remove the links"
            )
