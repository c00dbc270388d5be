"""The images of one split: files of the repository, or bytes inside of its parquet files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mritk import DataError, open_regular_file


@dataclass(frozen=True, eq=False)
class ImageColumn:
    """N encoded images.

    Attributes:
        ids: N names, see :func:`mritk_huggingface.table.samples_of`.
        files: N paths, with None where the image stands inside of the table.
        rows: The rows, whose column ``column`` holds bytes.
        column: Name of the column.
    """

    ids: tuple[str, ...]
    files: tuple[Path | None, ...]
    rows: Any
    column: str

    @classmethod
    def of(cls, rows: Any, column: str, folder: Path, split: str, name: str) -> ImageColumn:
        """Return the images in ``column`` of a split.

        Args:
            rows: A ``datasets.Dataset``.
            column: Name of the column.
            folder: The repository's files.
            split: Name of the split.
            name: Name of the dataset, for messages.

        Raises:
            DataError: There is no such column, it holds no images, or one is empty or a file
                outside of the repository.
        """
        import datasets
        import pyarrow.compute as pc

        _check(rows, column, f"{name}, split {split}")
        rows = rows.select_columns([column]).cast_column(column, datasets.Image(decode=False))
        table = rows.data.column(column)
        inside = pc.is_valid(pc.struct_field(table, "bytes")).to_pylist()
        paths = pc.struct_field(table, "path").to_pylist()
        ids, files = [], []
        for row, (embedded, path) in enumerate(zip(inside, paths, strict=True)):
            where = f"{name}, split {split}, row {row}"
            file = None if embedded else _file(path, folder, where)
            ids.append(f"{split}/{row:06d}" if file is None else file.as_posix())
            files.append(None if file is None else folder / file)
        return cls(tuple(ids), tuple(files), rows, column)

    def __len__(self) -> int:
        return len(self.ids)

    def content(self, row: int) -> bytes:
        """Return the encoded image of a row.

        Raises:
            DataError: It is no regular file.
            OSError: Its file cannot be read.
        """
        file = self.files[row]
        if file is None:
            return self.rows[row][self.column]["bytes"]
        with open_regular_file(file) as stream:
            return stream.read()


def _check(rows: Any, column: str, where: str) -> None:
    import datasets

    if column not in rows.column_names:
        raise DataError(
            f"{where} has no column {column!r}; its columns are {', '.join(rows.column_names)}: "
            "specify the image column with ,image=COLUMN"
        )
    feature = rows.features[column]
    encoded = isinstance(feature, dict) and set(feature) == {"bytes", "path"}
    binary = isinstance(feature, datasets.Value) and "binary" in feature.dtype
    if not (isinstance(feature, datasets.Image) or encoded or binary):
        # A text would be followed as a path or an address, wherever it leads.
        raise DataError(
            f"{where}: column {column} contains {feature}, not encoded images; specify another "
            "with ,image=COLUMN"
        )


def _file(path: str | None, folder: Path, where: str) -> Path:
    """Return the path of an image relative to the repository."""
    if not path:
        raise DataError(f"{where} has no image; report it to the maintainers of the dataset")
    try:
        file = Path(path).relative_to(folder)
    except ValueError:
        file = Path("..")
    if ".." in file.parts:
        raise DataError(f"{where} refers to image {path}, which is not a file of the repository")
    return file
