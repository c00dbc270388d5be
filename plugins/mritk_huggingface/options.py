"""What may follow ``hf:ORG/REPO``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BackboneOptions:
    """What may follow ``hf:ORG/REPO`` of a model.

    Attributes:
        revision: A branch, tag or commit; empty: ``main``, as it was when it was first asked for.
    """

    revision: str = ""


@dataclass(frozen=True)
class DatasetOptions:
    """What may follow ``hf:ORG/REPO`` of a dataset.

    Attributes:
        image: The column of images.
        label: The column that is predicted.
        patient: The column that names the patient; empty: nobody is told.
        config: The part of the repository that the hub calls config or subset.
        revision: As in :class:`BackboneOptions`.
    """

    image: str = "image"
    label: str = "label"
    patient: str = ""
    config: str = ""
    revision: str = ""
