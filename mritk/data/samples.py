"""A dataset once it is open: a table of samples, and a way to read one."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from mritk.errors import DataError, one_line
from mritk.reading.parts import SPLITS
from mritk.reading.passed_over import PassedOver


@dataclass(frozen=True)
class Classification:
    """The target is one of ``classes``; scores are logits of shape (N, len(classes)).

    Attributes:
        classes: Their names, in the order of the indices in ``Samples.targets``.
    """

    classes: tuple[str, ...]
    kind: ClassVar[str] = "classification"

    @property
    def outputs(self) -> int:
        """Width of the score of one sample."""
        return len(self.classes)


@dataclass(frozen=True)
class Regression:
    """The target is a number in ``unit``; scores are values of shape (N,).

    Attributes:
        unit: Unit for tables and figures, such as ``years``.
    """

    unit: str = ""
    kind: ClassVar[str] = "regression"
    classes: ClassVar[tuple[str, ...]] = ()

    @property
    def outputs(self) -> int:
        """Width of the score of one sample."""
        return 1


Task = Classification | Regression

TEXT_COLUMNS = ("patients", "sites", "sources", "splits")


class UnreadableSamples(DataError):
    """Some samples cannot be decoded; ``rows`` and ``reasons`` tell which and why."""

    def __init__(self, ids: Sequence[str], rows: Sequence[int], reasons: Sequence[str]) -> None:
        self.rows, self.reasons = tuple(rows), tuple(reasons)
        listed = "; ".join(f"{ids[r]} ({why})" for r, why in zip(rows[:20], reasons, strict=False))
        more = f"; and {len(rows) - 20} more" if len(rows) > 20 else ""
        super().__init__(
            f"{len(rows)} of {len(ids)} samples are unreadable: {listed}{more}; repair or remove "
            "them, or skip them with --skip-unreadable"
        )


@dataclass(frozen=True, eq=False)
class Samples:
    """A table of N samples and a function to read each sample.

    Attributes:
        ids: N unique names, stable across machines (relative paths, never absolute ones).
        targets: (N,) int64 indices into ``task.classes``, or (N,) float64 values.
        task: What is predicted.
        read: Returns sample ``i`` as an array of any rank. Dense data are uint8, or floats in
            [0, 1]: an image is (H, W) or (H, W, 3), a volume (D, H, W).
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

    def __post_init__(self) -> None:
        """Refuse a table that later steps would silently misread."""
        for name in ("ids", *TEXT_COLUMNS):
            column = getattr(self, name)
            if column is not None:
                object.__setattr__(self, name, _texts(name, column))
        _require_one_form(self.ids)
        twice = [name for name, count in Counter(self.ids).items() if count > 1]
        if twice:
            raise DataError(f"sample ids must be unique; duplicates: {', '.join(twice[:3])}")
        for name in ("targets", *TEXT_COLUMNS):
            column = getattr(self, name)
            if column is not None and len(column) != len(self.ids):
                raise DataError(f"column {name} has {len(column)} rows for {len(self.ids)} ids")
        targets = np.asarray(self.targets)
        if targets.ndim != 1:
            raise DataError(f"targets have shape {targets.shape}; expected one per sample")
        if isinstance(self.task, Classification):
            object.__setattr__(self, "targets", _class_indices(targets, self.task.classes))
        else:
            object.__setattr__(self, "targets", targets.astype(np.float64))
            if not np.isfinite(self.targets).all():
                raise DataError("regression targets must be finite")
        if self.splits is not None and not set(self.splits) <= set(SPLITS):
            unknown = sorted(set(self.splits) - set(SPLITS))
            raise DataError(f"split names must be {', '.join(SPLITS)}; got {', '.join(unknown)}")

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, rows: Sequence[int] | np.ndarray) -> Samples:
        """Return the samples of ``rows`` (positions in that order, or a mask of N truth values)."""
        given = np.asarray(rows)
        positions = np.flatnonzero(given) if given.dtype == bool else given.astype(np.int64)
        rows = positions.tolist()
        read, digest = self.read, self.digest
        columns = {name: getattr(self, name) for name in ("ids", *TEXT_COLUMNS)}
        picked: dict[str, Any] = {n: c and tuple(c[i] for i in rows) for n, c in columns.items()}
        return replace(
            self,
            targets=self.targets[positions],
            read=lambda i: read(rows[i]),
            digest=None if digest is None else lambda i: digest(rows[i]),
            **picked,
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
            raise UnreadableSamples(self.ids, list(bad), list(bad.values()))
        return tuple(contents)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the content, target and every column of every sample, in order of id.

        Equal on every machine; it changes when any sample, label or grouping does.
        """
        task = self.task.classes if isinstance(self.task, Classification) else (self.task.unit,)
        digest = hashlib.sha256(repr((self.task.kind, *task)).encode())
        columns = (self.patients, self.sites, self.sources, self.splits)
        for i in np.argsort(np.asarray(self.ids)):
            row = [column[i] if column is not None else None for column in columns]
            target = self.targets[i].item()
            digest.update(repr((self.ids[i], target, self.contents[i], *row)).encode())
        return digest.hexdigest()


def array_digest(array: np.ndarray) -> str:
    """Return the SHA-256 of an array as ``read`` gives it: of its dtype, shape and values.

    Raises:
        DataError: It holds Python objects, which have no bytes of their own.
    """
    array = np.ascontiguousarray(array)
    if array.dtype.hasobject:
        raise DataError("contains Python objects; expected a numeric array")
    header = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(header + array.tobytes()).hexdigest()


def _texts(name: str, column: Sequence[str]) -> tuple[str, ...]:
    """Return a column as plain strings, which hash alike whatever sequence they came in."""
    if any(value is None for value in column):
        raise DataError(
            f"column {name} has missing values; give a value for every sample, or None instead"
        )
    texts = tuple(str(value) for value in column)
    for text in texts:
        if "\0" in text or text != text.encode("utf-8", "ignore").decode():
            raise DataError(f"column {name} contains {text!r}, which is not valid text; rename it")
    return texts


def _require_one_form(ids: Sequence[str]) -> None:
    """Refuse ids that look alike and are two: an accent in its letter (NFC), or after it (NFD).

    Archives made on a Mac hold the second form. For classes, patients and sites the two are one:
    :mod:`mritk.data.one_name`.
    """
    forms: dict[str, str] = {}
    for text in (text for text in ids if not text.isascii()):
        other = forms.setdefault(unicodedata.normalize("NFC", text), text)
        if other != text:
            raise DataError(
                f"column ids contains {other!r} in two Unicode forms, {other!a} and {text!a}; use "
                "one form (NFC)"
            )


def _class_indices(targets: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    if len(classes) < 2:
        raise DataError(
            f"a classification needs at least two classes; found {', '.join(classes) or 'none'}"
        )
    if len(set(classes)) < len(classes):
        raise DataError(f"class names must be unique: {', '.join(classes)}")
    indices = targets.astype(np.int64)
    if len(targets) and (
        (indices != targets).any() or indices.min() < 0 or indices.max() >= len(classes)
    ):
        raise DataError(f"targets must be indices of the {len(classes)} classes, starting at 0")
    return indices
