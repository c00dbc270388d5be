"""DICOM as it leaves the scanner: ``dicom:PATH``, with pseudonyms in place of patients.

``PATH/CLASS/**/file``, or ``PATH/Training/CLASS/**/file`` and ``PATH/Testing/CLASS/**/file``.

**The patient rule.** The patient is the PatientID (0010,0020) that stands in every file; a file
without one is refused, unless ``patient=folder`` says that the folders below those of the classes
are patients, or ``patient=none`` that nobody knows. Patients are called ``patient-0001``,
``patient-0002``, … in the order of the SHA-256 of their PatientIDs, and series
``patient-0001/series-01``, … in the order of the SHA-256 of their SeriesInstanceUIDs: the same data
have the same names wherever they lie, and other names once patients are added. Nothing of
PatientID, PatientName, institution, or the names of files and of folders inside the class folders
enters ids, results or caches. What a person types does: the names of classes, the last part of
PATH, and the command line, which a trial file keeps. Pixels are kept as they are; burnt-in text and
faces are not removed.

``python -m mritk_dicom PATH`` prints which pseudonym stands for whom, for those who have the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from mritk import Dataset, DatasetFamily, Unavailable, UsageError, hookimpl, lazy, user_path


@dataclass(frozen=True)
class DicomOptions:
    """What may follow ``dicom:PATH``.

    Attributes:
        slices: Slices of each series, evenly spaced over its central 60 %, which then are images;
            ``all``: every slice; 0: each series is one volume.
        classes: Names of folders with ``/`` between them: these are the classes, wherever they lie,
            and what is outside of them is passed over. Empty: the layout tells.
        patient: Who the patient is: the PatientID (``id``), the folder below that of the class
            (``folder``), or nobody who is known (``none``, which takes ``--no-patient-ids``).
    """

    slices: int | Literal["all"] = 0
    classes: str = ""
    patient: Literal["id", "folder", "none"] = "id"

    def __post_init__(self) -> None:
        """Refuse what is no count, and fewer than two classes."""
        from mritk import named_classes

        if self.slices != "all" and self.slices < 0:
            raise UsageError(
                f"slices={self.slices} is not a valid number of slices; use 1 or more, all, or 0 "
                "for whole volumes"
            )
        named_classes(self.classes)


@hookimpl
def mritk_datasets() -> Iterator[DatasetFamily]:
    """Yield the family ``dicom:PATH``."""
    yield DatasetFamily(
        "dicom",
        resolve=resolve_dicom,
        placeholder="PATH",
        summary=(
            "DICOM series in one folder per class, pseudonymised; ,slices=K or slices=all for "
            "images"
        ),
        options=DicomOptions,
        reads=lazy("mritk_dicom.class_folders:holds_dicom"),
    )


def resolve_dicom(path: str, options: DicomOptions) -> Iterator[Dataset]:
    """Yield the dataset in the folder ``path``; its name keeps the last part of the path only.

    Raises:
        Unavailable: There is no such folder.
    """
    from mritk import named_classes

    folder = user_path(path)
    if not folder.is_dir():
        raise Unavailable(
            f"no folder {path}; dicom:PATH needs a folder with one subfolder of DICOM files per "
            "class"
        )
    yield Dataset(
        f"dicom:{folder.resolve().name}",
        open=partial(
            lazy("mritk_dicom.collection:read_collection"),
            folder,
            slices=options.slices,
            classes=named_classes(options.classes),
            rule=options.patient,
        ),
        license="unknown: user-provided files",
        no_patients="declared unknown by patient=none" if options.patient == "none" else "",
    )
