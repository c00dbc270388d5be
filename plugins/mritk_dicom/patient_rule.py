"""Who the patient of a file is: its PatientID, a folder, or nobody who is known."""

from __future__ import annotations

from typing import Literal

from mritk import ClassFile, DataError, is_missing, part_of
from mritk_dicom.header import Header

PatientRule = Literal["id", "folder", "none"]


def patient_of(file: ClassFile, header: Header, rule: PatientRule) -> str:
    """Return the patient of a file, which must not leave this package; empty: nobody is known.

    Args:
        file: The file and its class folder.
        header: What it says.
        rule: ``id``: its PatientID. ``folder``: the folder below that of the class, or of the
            part in it, whatever the file says; folders of one name are one patient, also of two
            classes or parts. ``none``: no patients.

    Raises:
        DataError: It has no PatientID, or lies in no folder of a patient.
    """
    if rule == "none":
        return ""
    if rule == "folder":
        below = file.path.relative_to(file.folder).parts
        if file.part and part_of(below[0]) == file.part:  # CLASS/Training/PATIENT
            below = below[1:]
        if len(below) < 2:
            raise DataError(
                f"{file.path} is not in a patient folder; patient=folder expects "
                "CLASS/PATIENT/…/file"
            )
        return below[0]
    if is_missing(header.patient):
        raise DataError(
            f"{file.path} has no PatientID, so images of one patient could be in training and "
            "test; add ,patient=folder if files are CLASS/PATIENT/…/file, or ,patient=none and "
            "--no-patient-ids if patients are unknown"
        )
    return header.patient
