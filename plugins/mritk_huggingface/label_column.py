"""The labels of a split, as classes or values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mritk import Classification, DataError, Regression, is_missing
from mritk_huggingface.image_column import ImageColumn

# Where the library's image folders keep the name of the class folder.
FOLDER_LABEL = "label"


@dataclass(frozen=True)
class LabelColumn:
    """N labels.

    Attributes:
        column: Name of the column.
        values: N class names, or N numbers.
        classes: All classes in their order, where the repository states them.
        numeric: Whether the values are measured, not named.
    """

    column: str
    values: tuple[Any, ...]
    classes: tuple[str, ...] = ()
    numeric: bool = False

    @property
    def empty(self) -> bool:
        """True if no row has a label, as in the test parts of competitions."""
        return all(value is None for value in self.values)

    @classmethod
    def of(cls, rows: Any, column: str, images: ImageColumn, where: str) -> LabelColumn:
        """Return the labels of a split.

        Named classes, whole numbers, texts and truth values are classes; floating-point numbers
        are measured. Where a metadata file has no column ``label``, class folders tell, as they do
        without one.

        Args:
            rows: A ``datasets.Dataset``.
            column: Name of the column.
            images: The images of the split.
            where: What the split is called in messages.

        Raises:
            DataError: There is no such column, or it holds something else, or labels of some rows
                only.
        """
        if column not in rows.column_names:
            return _of_folders(rows, column, images, where)
        import datasets

        feature, values = rows.features[column], rows.with_format(None)[column][:]
        if isinstance(feature, datasets.ClassLabel):
            names = tuple(feature.names)
            found = cls(column, class_names(values, names), names)
        elif isinstance(feature, datasets.Value) and "float" in feature.dtype:
            known = (None if v is None or np.isnan(v) else float(v) for v in values)
            found = cls(column, tuple(known), numeric=True)
        elif isinstance(feature, datasets.Value) and _names(feature.dtype):
            texts = (None if v is None or is_missing(str(v)) else str(v) for v in values)
            found = cls(column, tuple(texts))
        else:
            raise DataError(
                f"{where}: column {column} contains {feature}, neither one class nor one number "
                "per row; specify another with ,label=COLUMN"
            )
        absent = [row for row, value in enumerate(found.values) if value is None]
        if absent and not found.empty:
            raise DataError(
                f"{where}: column {column} has no label in {len(absent)} of {len(values)} rows, "
                f"such as row {absent[0]}; specify another with ,label=COLUMN"
            )
        return found

    @staticmethod
    def joined(
        columns: Sequence[LabelColumn], name: str
    ) -> tuple[Classification | Regression, np.ndarray]:
        """Return the task and the targets (N,) of all splits.

        Classes are in the order that the repository states, else sorted, by value where all are
        whole numbers.

        Raises:
            DataError: Splits differ in the kind of their labels, or there is one class only.
        """
        values = [value for column in columns for value in column.values]
        if any((c.numeric, c.classes) != (columns[0].numeric, columns[0].classes) for c in columns):
            raise DataError(f"{name}: splits have labels of different kinds and cannot be combined")
        if columns[0].numeric:
            return Regression(), np.asarray(values, dtype=np.float64)
        present = set(values)
        if len(present) < 2:
            raise DataError(
                f"{name}: column {columns[0].column} is {values[0]} for every sample; specify "
                "another with ,label=COLUMN"
            )
        whole = all(text.removeprefix("-").isdecimal() for text in present)
        classes = columns[0].classes or tuple(sorted(present, key=int if whole else None))
        index = {label: position for position, label in enumerate(classes)}
        return Classification(classes), np.asarray([index[value] for value in values])


def class_names(values: Sequence[int | None], names: Sequence[str]) -> tuple[str | None, ...]:
    """Return the names of a column of named classes; None where a row has none."""
    # -1 is how the hub's datasets write that a label is kept secret.
    return tuple(None if value is None or value < 0 else names[value] for value in values)


def _of_folders(rows: Any, column: str, images: ImageColumn, where: str) -> LabelColumn:
    if column == FOLDER_LABEL and all(file is not None for file in images.files):
        folders = tuple(file.parent.name for file in images.files if file is not None)
        if len(set(folders)) > 1:
            return LabelColumn(column, folders)
    raise DataError(
        f"{where} has no column {column!r}; its columns are {', '.join(rows.column_names)}: "
        "specify the target column with ,label=COLUMN"
    )


def _names(dtype: str) -> bool:
    return dtype.startswith(("int", "uint", "bool", "string", "large_string"))
