"""The folds of a split rule as a splitter of scikit-learn."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from mritk.data.one_name import with_one_spelling, with_spellings_merged
from mritk.data.samples import Samples
from mritk.errors import DataError, UsageError
from mritk.splits.split_rule import SplitRule, fold_count, known_fold_count
from mritk.splits.splits import make_folds
from mritk.tasks.classification import Classification
from mritk.tasks.regression import Regression


class FoldSplitter:
    """A cross-validation splitter with the splits of ``mritk run``.

    It can be used as scikit-learn's ``cv=``: patients are never split, classes (or quantiles of a
    regression target) are stratified, duplicates are kept together or dropped. scikit-learn has
    only training and test sets, so the validation set of a fold is added to training, where an
    estimator may select by its own cross-validation; but not to shots or patients that the rule
    limits training to.

    Args:
        rule: How samples are split.
        copies: (N,) whole numbers; equal ones are duplicates of each other. None: unknown.

    Raises:
        UsageError: ``rule`` is something else.

    Example:
        from sklearn.model_selection import cross_val_score

        splitter = FoldSplitter(SplitRule("kfold", folds=5))
        cross_val_score(model, features, labels, groups=patients, cv=splitter)
    """

    def __init__(
        self, rule: SplitRule | None = None, copies: Sequence[int] | np.ndarray | None = None
    ) -> None:
        if not isinstance(rule, SplitRule | None):
            raise UsageError(f"rule must be a SplitRule, such as SplitRule('kfold'), not {rule!r}")
        self.rule = rule or SplitRule("kfold")
        self.copies = None if copies is None else np.asarray(copies)

    def split(
        self,
        X: Any,  # noqa: N803 - as scikit-learn calls it
        y: Any = None,
        groups: Sequence[Any] | None = None,
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of training and test set of each fold, both sorted int64.

        Args:
            X: N samples of any kind; :class:`mritk.Samples` bring ``y`` and ``groups`` themselves,
                and the sites and official parts that some schemes need.
            y: (N,) classes (strings, integers, truth values), or floating-point values of a
                regression.
            groups: (N,) patients; None: every sample is a separate patient. Spellings of one are
                merged with a warning, as ``mritk run`` does: ``P1`` and ``p1``, ``1`` and ``01``.

        Raises:
            DataError: The rule cannot divide these samples, some have no class or no patient, or
                the columns differ in length or have more dimensions.
            ValueError: ``copies`` is not one whole number per sample.
        """
        for fold in make_folds(_samples(X, y, groups), self.rule, self.copies):
            if self.rule.limits_training:
                yield fold.train, fold.test
                continue
            # Where a protocol says validation = "test", the validation part is the test part.
            trained = np.union1d(fold.train, fold.val)
            yield np.setdiff1d(trained, fold.test), fold.test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803
        """Return the number of folds; the scheme ``site`` needs ``X`` as :class:`mritk.Samples`."""
        if isinstance(X, Samples):
            return fold_count(_samples(X), self.rule)
        if (known := known_fold_count(self.rule)) is None:
            raise DataError("the number of sites is known only from Samples; pass them as X")
        return known

    def get_metadata_routing(self) -> Any:
        """Return what scikit-learn hands on where metadata are routed: ``groups``, to ``split``."""
        from sklearn.utils.metadata_routing import MetadataRequest

        request = MetadataRequest(owner=self)
        request.split.add_request(param="groups", alias=True)
        return request

    def __repr__(self) -> str:
        return f"FoldSplitter({self.rule!r})"


def _samples(rows: Any, y: Any = None, groups: Sequence[Any] | None = None) -> Samples:
    if isinstance(rows, Samples):
        return with_one_spelling(rows, "X")
    if y is None:
        raise DataError("stratified folds need the classes: pass y")
    targets = np.asarray(y)
    if targets.dtype == object and _are_floats(targets):
        targets = targets.astype(np.float64)
    if targets.ndim != 1:
        raise DataError(f"y has shape {targets.shape}; give one class or value for each sample")
    shape = getattr(rows, "shape", None)  # sparse matrices have no length
    count = len(targets) if rows is None else shape[0] if shape else len(rows)
    _require_known(y, count, "y", "class or value, so no fold can be stratified; leave them out")
    if groups is not None:
        groups = _listed(groups)
        what = "group, so it is unknown whose they are; give each its patient, or pass no groups"
        _require_known(groups, count, "groups", what)
    # Zero-padded, so that the order of ids is the order of rows.
    ids = [f"{row:012d}" for row in range(count)]
    patients = None if groups is None else _patients(groups)

    def read(row: int) -> np.ndarray:
        raise DataError(f"row {row} has no image")

    if np.issubdtype(targets.dtype, np.floating):
        return Samples(ids, targets, Regression(), read, None, patients=patients)
    try:
        classes, indices = np.unique(targets, return_inverse=True)
    except TypeError as error:
        raise DataError(f"y has no classes that can be told apart: {error}") from error
    task = Classification(tuple(map(str, classes)))
    return Samples(ids, indices, task, read, None, patients=patients)


def _are_floats(values: np.ndarray) -> bool:
    """Tell whether a column of objects, as pandas and lists may hold them, is of real numbers."""
    numbers = all(isinstance(one, Real) and not isinstance(one, bool | np.bool_) for one in values)
    return numbers and any(not isinstance(one, Integral) for one in values)


def _patients(groups: Sequence[Any]) -> Sequence[str]:
    """Return groups as text, of which equal ones and two spellings of one have the same."""
    first: dict[Hashable, str] = {}
    texts = [first.setdefault(_comparable(group), str(group)) for group in groups]
    return with_spellings_merged(texts, "values", "groups")


def _comparable(group: Any) -> Hashable:
    value = np.asarray(group, dtype=object).item()
    return value if isinstance(value, Hashable) else str(value)


def _listed(groups: Any) -> list[Any]:
    """Return groups as a list, refused where an entry is a row of several values."""
    single = not isinstance(groups, Iterable) or getattr(groups, "ndim", 1) == 0
    values = [] if single else list(groups)
    if single or any(np.asarray(value, dtype=object).size != 1 for value in values):
        raise DataError("groups is no column of values; give one patient for each sample")
    return values


def _require_known(values: Sequence[Any], count: int, name: str, what: str) -> None:
    """Refuse a column that has no value for some of ``count`` samples."""
    if len(values) != count:
        raise DataError(f"{name} has {len(values)} values for {count} samples; give one for each")
    if without := sum(map(_is_unknown, values)):
        raise DataError(f"{without} of {count} samples have no {what}")


def _is_unknown(value: Any) -> bool:
    try:
        return value is None or bool(value != value or value == "")  # noqa: PLR0124 - NaN differs
    except TypeError:  # pandas' NA is neither
        return True
