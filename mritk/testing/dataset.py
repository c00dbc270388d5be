"""What every dataset promises."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import PurePosixPath, PureWindowsPath

import numpy as np

from mritk.data.one_name import require_distinct_classes
from mritk.data.samples import Samples
from mritk.errors import DataError, Unavailable
from mritk.files.workspace import Workspace
from mritk.images.label_maps import require_label_maps
from mritk.records import Dataset
from mritk.testing.check import (
    Defect,
    NotApplicable,
    UnderTest,
    Verdict,
    equal,
    is_sent_to_workers,
    promises,
    require_conformity,
)
from mritk.testing.offline import no_network

READ = 24  # samples that are read, spread over the table
SHA256 = re.compile(r"[0-9a-f]{64}")


class DatasetUnderTest(UnderTest[Dataset]):
    """A dataset, opened once for all checks.

    Attributes:
        workspace: Where its files may be.
        plain: The dataset of the same family without the options that stand behind its name; None:
            it has none.
    """

    def __init__(
        self, dataset: Dataset, workspace: Workspace, plain: Dataset | None = None
    ) -> None:
        super().__init__(dataset)
        self.workspace, self.plain = workspace, plain

    @cached_property
    def samples(self) -> Samples:
        """The samples, from the first opening."""
        return self.open()

    def open(self) -> Samples:
        """Open the dataset anew."""
        try:
            samples = self.record.open(self.workspace)
        except Unavailable:
            raise
        except (Exception, SystemExit) as error:
            raise Defect(f"it cannot be opened: {type(error).__name__}: {error}") from error
        if not isinstance(samples, Samples):
            raise Defect(f"open() must return mritk.Samples, not {type(samples).__name__}")
        if not len(samples):
            raise Defect("no samples")
        return samples

    @property
    def rows(self) -> list[int]:
        """Positions of the samples that are read."""
        return np.unique(np.linspace(0, len(self.samples) - 1, READ).astype(int)).tolist()

    @cached_property
    def arrays(self) -> list[np.ndarray]:
        """The samples at :attr:`rows`, read one after the other."""
        return [self.read(row) for row in self.rows]

    def read(self, row: int) -> np.ndarray:
        """Read one sample."""
        try:
            return np.array(self.samples.read(row))
        except Unavailable:
            raise
        except Exception as error:
            name, what = self.samples.ids[row], type(error).__name__
            raise Defect(f"sample {name} cannot be read: {what}: {error}") from error


def opens_the_same_twice(it: DatasetUnderTest) -> None:
    """A second opening gives the same ids, targets, patients and parts, in the same order."""
    first, second = it.samples, it.open()
    for column in ("ids", "targets", "patients", "sites", "sources", "splits"):
        one, two = getattr(first, column), getattr(second, column)
        if not equal(np.asarray(one), np.asarray(two)):
            raise Defect(
                f"column {column} differs between two openings; sort folder listings and sets, "
                "and use a fixed seed for random numbers"
            )


def ids_mean_the_same_everywhere(it: DatasetUnderTest) -> None:
    """No id holds a path of this machine."""
    for name in it.samples.ids:
        if PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute():
            raise Defect(f"id {name!r} is an absolute path; make it relative to the data")


def patients_are_told(it: DatasetUnderTest) -> None:
    """Patients are named, or the record says why they are not."""
    patients = it.samples.patients
    if patients is None:
        if not it.record.no_patients:
            raise Defect(
                "no patient ids, so images of one patient may be in training and test. Set "
                "Samples(patients=…), or state the reason with Dataset(no_patients='…')"
            )
        return
    if not all(patient.strip() for patient in patients):
        raise Defect("some patient ids are empty; these would count as one patient")
    if len(set(patients)) == 1:
        raise Defect("all samples belong to one patient and cannot be split")


def parts_are_disjoint(it: DatasetUnderTest) -> None:
    """No patient and no content stands in two parts of the official split."""
    samples = it.samples
    if samples.splits is None:
        raise NotApplicable("no official split")
    parts: dict[str, str] = {}
    columns: list[tuple[str, Sequence[str]]] = [("content", samples.contents)]
    columns += [("patient", samples.patients)] if samples.patients is not None else []
    for what, column in columns:
        for key, part, name in zip(column, samples.splits, samples.ids, strict=True):
            if parts.setdefault(f"{what} {key}", part) != part:
                raise Defect(
                    f"the {what} of {name} is in {parts[f'{what} {key}']} and in {part}; if the "
                    "official split has this leakage, 'mritk audit' quantifies it"
                )


def reading_twice_gives_the_same(it: DatasetUnderTest) -> None:
    """A sample is the same array every time, also when several threads read at once."""
    rows, arrays = it.rows, it.arrays
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(it.samples.read, rows[::-1]))[::-1]
    for row, first, second in zip(rows, arrays, again, strict=True):
        if not equal(first, np.asarray(second)):
            raise Defect(
                f"sample {it.samples.ids[row]} differs when read again from another thread; do "
                "not share open files or buffers between calls"
            )


def opening_again_reads_the_same(it: DatasetUnderTest) -> None:
    """What shapes an array is the same at each opening, or stands in the sample's digest."""
    second = it.open()
    if len(second) != len(it.samples):
        raise NotApplicable("a second opening gives different samples")
    for row, first in zip(it.rows, it.arrays, strict=True):
        same = it.samples.content(row) == second.content(row)
        if same and not equal(first, np.asarray(second.read(row))):
            raise Defect(
                f"sample {it.samples.ids[row]} differs after a second opening, but its digest is "
                "the same; Samples(digest=…) must depend on everything that affects the array"
            )


def options_stand_in_the_digests(it: DatasetUnderTest) -> None:
    """An option that affects an array stands in the sample's digest, or two trials on different
    pixels would count as one."""
    if it.plain is None:
        raise NotApplicable("no options are given; specify one: NAME,OPTION=VALUE")
    try:
        plain = it.plain.open(it.workspace)
    except Exception as error:
        raise NotApplicable(f"without options it does not open: {error}") from error
    at = {digest: row for row, digest in enumerate(plain.contents)}
    for row, array in zip(it.rows, it.arrays, strict=True):
        same = at.get(it.samples.content(row))
        if same is not None and not equal(array, np.asarray(plain.read(same))):
            raise Defect(
                f"sample {it.samples.ids[row]} differs from that without options, but its digest "
                "is the same; Samples(digest=…) must depend on every option that affects the array"
            )


def samples_are_what_is_declared(it: DatasetUnderTest) -> None:
    """Images and volumes have the declared rank, and are uint8 or floats in [0, 1]."""
    dims = it.samples.spatial_dims
    if dims is None:
        raise NotApplicable("the data are not images")
    named = len(it.samples.channels)
    for row, whole in zip(it.rows, it.arrays, strict=True):
        name, array = it.samples.ids[row], whole
        if named:
            if whole.ndim != dims + 1 or len(whole) != named:
                raise Defect(
                    f"{name} has shape {whole.shape}; {named} channels come first, then {dims} "
                    "spatial dimensions"
                )
            array = whole.reshape(-1, *whole.shape[2:])
        colour = dims == 2 and array.ndim == 3 and array.shape[-1] == 3
        if (array.ndim != dims and not colour) or not array.size:
            raise Defect(
                f"{name} has shape {array.shape}, not that of a sample with {dims} dimensions"
            )
        if array.dtype == np.uint8:
            continue
        if not np.issubdtype(array.dtype, np.floating):
            raise Defect(f"{name} is {array.dtype}; expected uint8, or floats in [0, 1]")
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise Defect(f"{name} has values from {array.min()} to {array.max()}, not in [0, 1]")


def label_maps_lie_on_their_samples(it: DatasetUnderTest) -> None:
    """A label map is uint8, of the spatial shape of its sample, and holds labels of the task."""
    if not it.samples.task.has_target_maps:
        raise NotApplicable("the target is no label map")
    first = 1 if it.samples.channels else 0
    try:
        shapes = [array.shape[first:] for array in it.arrays]
        require_label_maps(it.samples.only(it.rows), shapes)
    except DataError as error:
        raise Defect(str(error)) from error


def every_class_has_samples(it: DatasetUnderTest) -> None:
    """No class is a name without samples."""
    task = it.samples.task
    if not task.classes:
        raise NotApplicable(f"the dataset has {task.describe()}")
    empty = [name for i, name in enumerate(task.classes) if not (it.samples.targets == i).any()]
    if empty:
        raise Defect(f"class {empty[0]} has no sample, so class-averaged metrics are undefined")


def classes_have_names_of_their_own(it: DatasetUnderTest) -> None:
    """Classes differ in more than their spelling, and none stands for a missing label."""
    if not it.samples.task.classes:
        raise NotApplicable(f"the dataset has {it.samples.task.describe()}")
    try:
        require_distinct_classes(it.samples, it.record.name)
    except DataError as error:
        raise Defect(str(error)) from error


def digests_tell_contents_apart(it: DatasetUnderTest) -> None:
    """A digest is a SHA-256, stays, and differs between samples that differ."""
    seen: dict[str, np.ndarray] = {}
    for row, array in zip(it.rows, it.arrays, strict=True):
        digest, again = it.samples.content(row), it.samples.content(row)
        if not SHA256.fullmatch(digest) or digest != again:
            raise Defect(f"the digest of {it.samples.ids[row]} is not a stable SHA-256: {digest!r}")
        if not equal(seen.setdefault(digest, array), array):
            raise Defect(
                f"{it.samples.ids[row]} has the digest of a different sample; they would count as "
                "duplicates"
            )


def heeds_offline(it: DatasetUnderTest) -> None:
    """Without a network the data are here, or ``Unavailable`` says how to get them."""
    with no_network() as tried:
        try:
            samples = it.record.open(Workspace(it.workspace.home, offline=True))
            samples.read(0)
        except Unavailable:
            pass
        except Exception as error:
            if not tried:
                it.read(0)  # what fails with a network too is no matter of being offline
                raise Defect(f"offline, {error}; raise mritk.Unavailable instead") from error
    if tried:
        raise Defect(f"offline, it tries to reach {tried[0]}; check workspace.offline")


def declares_licence_and_sources(it: DatasetUnderTest) -> None:
    """The record says under which terms the data may be used, and where they come from.

    A reader of files whose origin only their owner knows says so: ``license="unknown: …"``.
    """
    if not it.record.license.strip() or it.record.license == "not stated":
        raise Defect(
            "no licence; set Dataset(license=…), if necessary to 'unknown: …' with the reason"
        )
    if it.record.license.startswith("unknown"):
        return
    if not it.record.sources and not it.samples.sources:
        raise Defect(
            "no sources; without Dataset(sources=(…,)) overlap with pretraining data cannot be "
            "detected"
        )


CHECKS = (*promises(__name__), is_sent_to_workers)


def inspect_dataset(
    dataset: Dataset, workspace: Workspace, plain: Dataset | None = None
) -> Iterator[Verdict]:
    """Make every check; ``plain`` is the dataset without the options behind its name."""
    return DatasetUnderTest(dataset, workspace, plain).inspect(CHECKS)


def check_dataset(dataset: Dataset, workspace: Workspace | None = None) -> None:
    """Check a dataset, as ``registry.dataset(name)`` returns it.

    Args:
        dataset: The dataset.
        workspace: Where its files may be; default: that of this machine, offline.

    Raises:
        Nonconforming: It breaks a promise of :data:`CHECKS`; all that were found are listed.
    """
    place = workspace or Workspace.from_environment(offline=True)
    require_conformity(inspect_dataset(dataset, place))
