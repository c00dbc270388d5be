"""What may follow the names of files: ``folder:PATH``, ``bids:PATH``, ``manifest:FILE``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mritk import UsageError, named_classes


@dataclass(frozen=True)
class ScanOptions:
    """What may follow every name of files.

    Attributes:
        slices: Axial slices of each volume, which then are images; 0: volumes stay volumes.
        frames: Volumes of each series, such as functional MRI, evenly spaced over its fourth axis;
            0: each file is one volume.
    """

    slices: int = 0
    frames: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no count, and slices of frames."""
        if self.slices < 0:
            raise UsageError(
                f"slices={self.slices} is not a valid number of slices; use 1 or more, or 0 for "
                "whole volumes"
            )
        if self.frames < 0:
            raise UsageError(
                f"frames={self.frames} is not a valid number of frames; use 1 or more, or 0 for "
                "files of one volume"
            )
        if self.slices and self.frames:
            raise UsageError(
                f"slices={self.slices} and frames={self.frames} exclude each other; use frames, "
                "and slices:BACKBONE for a network of images"
            )


@dataclass(frozen=True)
class FolderOptions(ScanOptions):
    """What may follow ``folder:PATH``.

    Attributes:
        classes: Names of folders with ``/`` between them: these are the classes, wherever they lie,
            and what is outside of them is passed over. Empty: the layout tells.
    """

    classes: str = ""

    def __post_init__(self) -> None:
        """Refuse fewer than two classes."""
        super().__post_init__()
        named_classes(self.classes)


@dataclass(frozen=True)
class TableOptions(ScanOptions):
    """What may follow every name of a table.

    Attributes:
        task: What is predicted; ``auto`` decides by the values.
        covariates: Columns of the table, with ``/`` between them, by which results can be divided,
            such as ``age/sex``.
    """

    task: Literal["auto", "classification", "regression"] = "auto"
    covariates: str = ""


@dataclass(frozen=True)
class ManifestOptions(TableOptions):
    """What may follow ``manifest:FILE``.

    Attributes:
        labels: Names of the values 0, 1, … of the label maps in the column ``mask``, with ``/``
            between them; the first is background, and ``-`` is a value that is not evaluated.
            Empty: a label or a number is predicted.
    """

    labels: str = ""


@dataclass(frozen=True)
class BidsOptions(TableOptions):
    """What may follow ``bids:PATH``.

    Attributes:
        target: The column of participants.tsv that is predicted; there is no default.
        suffix: The kind of scan, as BIDS writes it in the file name.
        site: The column that names the site; empty: ``site``, where there is such a column.
        missing: ``drop`` leaves out participants without a target or a scan, and says how many.
    """

    target: str = ""
    suffix: str = "T1w"
    site: str = ""
    missing: Literal["refuse", "drop"] = "refuse"
