"""Datasets ``hf:ORG/REPO``: what stands behind the name, and which columns are meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mritk import Dataset, Workspace
from mritk_huggingface.hub import license_of, read_card, require_repository

if TYPE_CHECKING:
    from mritk import Samples


@dataclass(frozen=True)
class Columns:
    """Where in a table the samples stand.

    Attributes:
        image: Column of images.
        label: Column of classes or of numbers.
        patient: Column of patients; empty: nobody told.
        config: Configuration of the dataset; empty: its only one.
        revision: A branch, a tag or a commit.
    """

    image: str = "image"
    label: str = "label"
    patient: str = ""
    config: str = ""
    revision: str = "main"


def resolve_dataset(member: str, options: Columns, workspace: Workspace) -> Iterator[Dataset]:
    """Yield the dataset of a repository.

    Raises:
        LookupError: That is no name of a repository.
    """
    repository = require_repository(member)
    card = read_card(repository, options.revision, workspace, "dataset")
    yield Dataset(
        f"hf:{repository}",
        partial(open_repository, repository, options),
        sources=(repository,),
        license=license_of(card),
        summary=f"{repository} on the Hugging Face Hub",
        no_patients="" if options.patient else "no column of patients was named (patient=…)",
    )


def open_repository(repository: str, columns: Columns, workspace: Workspace) -> Samples:
    """Return the samples of a repository; see :func:`mritk_huggingface.reading.read_samples`."""
    from mritk_huggingface.reading import read_samples

    return read_samples(repository, columns, workspace)
