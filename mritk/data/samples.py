"""A dataset once it is open: a table of samples, and a way to read one."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from mritk.data.columns import (
    channels_of,
    covariate,
    positions_of,
    require_one_form,
    spacing_of,
    target_column,
    texts,
)
from mritk.errors import DataError, one_line
from mritk.machine.in_threads import in_threads
from mritk.reading.parts import SPLITS
from mritk.reading.passed_over import PassedOver
from mritk.tasks.task import Task
from mritk.text.listed import first_few

TEXT_COLUMNS = ("patients", "sites", "sources", "splits", "made_from", "scans")
OF_ONE_SAMPLE = ("read", "digest", "read_target", "read_lesion", "affine", "holes")


class UnreadableSamples(DataError):
    """Some samples cannot be decoded; ``rows`` and ``reasons`` tell which and why."""

    def __init__(self, ids: Sequence[str], why: Mapping[int, str]) -> None:
        self.rows, self.reasons = tuple(why), tuple(why.values())
        named: dict[str, list[str]] = {}
        for row, reason in why.items():
            named.setdefault(reason, []).append(ids[row])
        shown = list(named.items())[:20]
        listed = "; ".join(f"{first_few(names)} ({reason})" for reason, names in shown)
        left = len(why) - sum(len(names) for _, names in shown)
        more = f"; and {left} more" if left else ""
        super().__init__(
            f"{len(why)} of {len(ids)} samples are unreadable: {listed}{more}; repair or remove "
            "them, or skip them with --skip-unreadable"
        )


class MapFacts(NamedTuple):
    """What is known of a label map without its values; ``largest`` is -1 if it has none."""

    digest: str
    shape: tuple[int, ...]
    dtype: str
    largest: int

    @classmethod
    def of(cls, labels: np.ndarray) -> MapFacts:
        """Look at a label map."""
        largest = int(labels.max()) if labels.size else -1
        return cls(array_digest(labels), labels.shape, labels.dtype.name, largest)


@dataclass(frozen=True, eq=False)
class Samples:
    """A table of N samples and a function to read each sample.

    Attributes:
        ids: N unique names, stable across machines (relative paths, never absolute ones).
        targets: (N,) int64 indices into ``task.classes``, or (N,) float64 values. For tasks whose
            target is no number give an empty array; zeros are then held.
        task: What is predicted.
        read: Returns sample ``i`` as an array of any rank. Dense data are uint8, or floats in
            [0, 1]: an image is (H, W) or (H, W, 3), a volume (D, H, W). With ``channels``, one
            axis more comes first: (C, H, W) or (C, D, H, W).
            It is called from several threads at once.
        spatial_dims: 2 for images, 3 for volumes; None for other data (graphs, signals), which are
            passed to the method one by one, unchanged.
        digest: Returns a hexadecimal SHA-256 that changes whenever the result of ``read(i)`` does.
            By default the array is hashed; file-based datasets hash the bytes of the file, which
            saves reading. mritk accounts for the reading code and the options of a family.
        patients: N patient ids, or None if unknown. Patients are never split.
        sites: N acquisition sites or scanners, or None.
        sources: N names of the source collections, or None.
        splits: The official split, N of ``train``, ``val``, ``test``, or None.
        passed_over: Ignored files and folders next to the data, reported by the audit.
        channels: Names of the C channels of each sample, such as its MRI sequences; empty: grey
            or RGB.
        read_target: Returns the label map of sample ``i``, uint8 of the spatial shape of
            ``read(i)``; required by a segmentation, None for other tasks.
        spacing: (N, spatial_dims) float64, distance of pixels or voxels in mm along each axis of
            ``read(i)``; None: unknown.
        covariates: Further columns by name, such as ``age``, ``sex`` or ``scanner``: N texts, or N
            numbers (NaN where unknown).
        made_from: For samples that were made from others, such as deformed copies: N ids of the
            sample each was made from, empty for those that were not; None: none was. They have its
            patient, and are in the training part if it is, and in no other.
        scans: N names of the scan that each sample is a part of, such as the file of a slice or of
            a frame; None: each sample is a scan. Scans are never split, also where no patients are
            known; no fingerprint depends on them.
        holes: Returns the share of sample ``i``, from 0 to 1, that is NaN or infinite in its file
            and something else in ``read(i)``, after which the audit calls it; None: not known.
        read_lesion: Returns the lesion of sample ``i``, not 0 within, of the spatial shape of
            ``read(i)``; None: no masks. ``mritk explain`` compares with it what a network looked
            at; methods do not get it, and no fingerprint depends on it.
        affine: Returns the (4, 4) matrix from indices of ``read(i)`` to mm, to the right, front
            and top, for files in the space of sample ``i``; None: only the spacing is known.
    """

    ids: Sequence[str]
    targets: np.ndarray
    task: Task
    read: Callable[[int], np.ndarray]
    spatial_dims: int | None = 2
    digest: Callable[[int], str] | None = None
    patients: Sequence[str] | None = None
    sites: Sequence[str] | None = None
    sources: Sequence[str] | None = None
    splits: Sequence[str] | None = None
    passed_over: Sequence[PassedOver] = ()
    channels: tuple[str, ...] = ()
    read_target: Callable[[int], np.ndarray] | None = None
    spacing: np.ndarray | None = None
    covariates: Mapping[str, Sequence[str] | np.ndarray] = field(default_factory=dict)
    made_from: Sequence[str] | None = None
    read_lesion: Callable[[int], np.ndarray] | None = None
    affine: Callable[[int], np.ndarray] | None = None
    scans: Sequence[str] | None = None
    holes: Callable[[int], float] | None = None

    def __post_init__(self) -> None:
        """Refuse a table that later steps would silently misread."""
        object.__setattr__(self, "ids", texts("ids", self.ids, "give each sample an id"))
        for name in TEXT_COLUMNS:
            column = getattr(self, name)
            if column is not None:
                object.__setattr__(self, name, texts(name, column))
        require_one_form(self.ids)
        twice = [name for name, count in Counter(self.ids).items() if count > 1]
        if twice:
            raise DataError(f"sample ids must be unique; duplicates: {', '.join(twice[:3])}")
        given = target_column(self.targets)
        if not all(texts("covariates", tuple(self.covariates))):
            raise DataError("a covariate has no name; give its column a title")
        covariates = {name: covariate(name, c) for name, c in self.covariates.items()}
        object.__setattr__(self, "channels", channels_of(self.channels, self.spatial_dims))
        object.__setattr__(self, "spacing", spacing_of(self.spacing, self.spatial_dims))
        object.__setattr__(self, "covariates", MappingProxyType(covariates))
        object.__setattr__(self, "targets", self._checked(given))
        columns = {name: getattr(self, name) for name in ("targets", *TEXT_COLUMNS, "spacing")}
        for name, column in (columns | covariates).items():
            if column is not None and len(column) != len(self.ids):
                raise DataError(f"column {name} has {len(column)} rows for {len(self.ids)} ids")
        if (self.read_target is not None) != self.task.has_target_maps:
            missing = "needs" if self.task.has_target_maps else "takes no"
            raise DataError(f"task {self.task.kind} {missing} 'read_target'")
        if self.splits is not None and not set(self.splits) <= set(SPLITS):
            unknown = sorted(set(self.splits) - set(SPLITS))
            raise DataError(f"split names must be {', '.join(SPLITS)}; got {', '.join(unknown)}")
        _require_own_patients(self)
        _require_whole_scans(self)

    def _checked(self, targets: np.ndarray) -> np.ndarray:
        try:
            return self.task.checked_targets(targets, len(self.ids))
        except (TypeError, ValueError) as error:
            raise DataError(
                f"targets for {self.task.kind} must be numbers, one for every sample: {error}"
            ) from error

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        """The row of each id."""
        return {name: row for row, name in enumerate(self.ids)}

    @cached_property
    def originals(self) -> np.ndarray:
        """Rows of the samples that were not made from others, int64."""
        if self.made_from is None:
            return np.arange(len(self))
        return np.flatnonzero([not parent for parent in self.made_from])

    @property
    def owners(self) -> Sequence[str]:
        """Whose each sample is, as far as is known: its patient, else its scan, else its id."""
        if self.patients is not None:
            return self.patients
        return self.ids if self.scans is None else self.scans

    @property
    def owner_noun(self) -> str:
        """The word for several of ``owners``."""
        if self.patients is not None:
            return "patients"
        return "samples" if self.scans is None else "scans"

    def only(self, rows: Sequence[int] | np.ndarray) -> Samples:
        """Return the samples of ``rows`` (positions in that order, or a mask of N truth values).

        Raises:
            DataError: A mask is not of N truth values, or positions are no whole numbers.
        """
        positions = positions_of(rows, len(self))
        at = positions.tolist()
        functions = {name: _at(at, getattr(self, name)) for name in OF_ONE_SAMPLE}
        columns = {name: getattr(self, name) for name in ("ids", *TEXT_COLUMNS)}
        picked: dict[str, Any] = {n: c and tuple(c[i] for i in at) for n, c in columns.items()}
        return replace(
            self,
            targets=self.targets[positions],
            spacing=None if self.spacing is None else self.spacing[positions],
            covariates={n: np.asarray(c)[positions] for n, c in self.covariates.items()},
            **picked,
            **functions,
        )

    def content(self, i: int) -> str:
        """Return the SHA-256 of the content of sample ``i``."""
        if self.digest is not None:
            return self.digest(i)
        return array_digest(self.read(i))

    @cached_property
    def contents(self) -> tuple[str, ...]:
        """The SHA-256 of every sample's content, in order.

        Raises:
            UnreadableSamples: Some samples cannot be read.
        """
        contents: list[str] = []
        bad: dict[int, str] = {}
        for row in range(len(self)):
            try:
                contents.append(self.content(row))
            except MemoryError:
                raise
            except Exception as error:
                bad[row] = one_line(error)
        if bad:
            raise UnreadableSamples(self.ids, bad)
        return tuple(contents)

    @cached_property
    def map_outcomes(self) -> tuple[MapFacts | str, ...]:
        """What is known of every label map, or why it cannot be read, in order; read once."""
        if (read := self.read_target) is None:
            return ()
        found = in_threads(lambda i: MapFacts.of(read(i)), len(self))
        return tuple(one_line(one) if isinstance(one, Exception) else one for one in found)

    @cached_property
    def map_facts(self) -> tuple[MapFacts, ...]:
        """Digest, shape, dtype and largest value of every label map, in order.

        Raises:
            UnreadableSamples: Some label maps cannot be read.
        """
        found = self.map_outcomes
        bad = {i: f"label map: {one}" for i, one in enumerate(found) if isinstance(one, str)}
        if bad:
            raise UnreadableSamples(self.ids, bad)
        return tuple(facts for facts in found if isinstance(facts, MapFacts))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the content, target and every column of every sample, in order of id.

        Equal on every machine; it changes when any sample, label or grouping does.
        """
        digest = hashlib.sha256(repr((self.task.kind, *self.task.identity())).encode())
        columns = (self.patients, self.sites, self.sources, self.splits)
        for i in np.argsort(np.asarray(self.ids)):
            row = [column[i] if column is not None else None for column in columns]
            target = self.targets[i].item()
            more = self._further_columns(i)
            digest.update(repr((self.ids[i], target, self.contents[i], *row, *more)).encode())
        return digest.hexdigest()

    def _further_columns(self, i: int) -> Iterator[object]:
        """Yield what only some tables have of sample ``i``, so that others keep their digest."""
        if self.channels:
            yield "channels", *self.channels
        # Others use it only on a grid with a spacing: see the identity of a trial.
        if self.spacing is not None and self.read_target is not None:
            yield "spacing", *self.spacing[i].tolist()
        if self.made_from is not None and self.made_from[i]:
            yield "made from", self.made_from[i]
        for name in sorted(self.covariates):
            yield name, np.asarray(self.covariates[name])[i].item()
        if self.read_target is not None:
            yield "target", self.map_facts[i].digest


def _require_own_patients(samples: Samples) -> None:
    """Refuse a made sample of another patient or part than the one it was made from."""
    for row, parent in enumerate(samples.made_from or ()):
        if parent not in samples.row_of:  # none, or left out here
            continue
        of = samples.row_of[parent]
        if samples.made_from is not None and samples.made_from[of]:
            raise DataError(f"{samples.ids[row]} is made from {parent}, which is itself made")
        _require_one_patient(samples, (row, of), f"{samples.ids[row]} is made from {parent}")


def _require_whole_scans(samples: Samples) -> None:
    """Refuse parts of one scan that have several patients or official parts."""
    first: dict[str, int] = {}
    for row, scan in enumerate(samples.scans or ()):
        of = first.setdefault(scan, row)
        both = f"{samples.ids[of]} and {samples.ids[row]}"
        _require_one_patient(samples, (of, row), f"{both} are parts of one scan")


def _require_one_patient(samples: Samples, pair: tuple[int, int], why: str) -> None:
    for name in ("patients", "splits"):
        column = getattr(samples, name)
        if column is not None and column[pair[0]] != column[pair[1]]:
            one, other = (column[row] for row in pair)
            raise DataError(f"{why}, but their {name} differ: {one} and {other}")


def _at(rows: Sequence[int], function: Callable[[int], Any] | None) -> Any:
    """Return a function of one sample for the samples at ``rows``."""
    return None if function is None else lambda i: function(rows[i])


def array_digest(array: np.ndarray) -> str:
    """Return the SHA-256 of an array as ``read`` gives it: of its dtype, shape and values.

    Raises:
        DataError: It holds Python objects, which have no bytes of their own.
    """
    array = np.ascontiguousarray(array)
    if array.dtype.hasobject:
        raise DataError("contains Python objects; expected a numeric array")
    header = f"{array.dtype.str}{array.shape}".encode()
    digest = hashlib.sha256(header)
    digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
