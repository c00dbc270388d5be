"""From a repository of data to samples."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath

from mritk import DataError, Dataset, Samples, Workspace, is_image_name
from mritk_huggingface.absent import require
from mritk_huggingface.listing import Listing
from mritk_huggingface.options import DatasetOptions
from mritk_huggingface.repository import Repository
from mritk_huggingface.table import samples_of

PARQUET = ".parquet"
METADATA = ("metadata.csv", "metadata.jsonl", "README.md")


def dataset_records(name: str, options: DatasetOptions, workspace: Workspace) -> Iterator[Dataset]:
    """Yield the dataset ``hf:ORG/REPO``.

    Raises:
        Unavailable: The repository, or the library ``datasets``, cannot be had.
    """
    repository = Repository("dataset", name, options.revision)
    require("datasets", f"hf:{name}")
    listing = repository.listing(workspace)
    yield Dataset(
        f"hf:{name}",
        open=partial(open_repository, repository, listing, options),
        sources=(name,),
        license=listing.license,
        summary=f"{name} at commit {listing.commit}",
        no_patients="" if options.patient else "no patient=COLUMN was specified",
    )


def open_repository(
    repository: Repository, listing: Listing, options: DatasetOptions, workspace: Workspace
) -> Samples:
    """Fetch what of the repository is data, and see :func:`mritk_huggingface.table.samples_of`.

    Scripts, archives and everything else that is neither an image, a parquet file nor their
    metadata are not fetched.

    Raises:
        DataError: There are neither images nor parquet files, or they cannot be read as asked.
        Unavailable: Files cannot be had, or are not what the hub states.
    """
    names = sorted(name for name in listing.files if _is_data(name))
    if not any(_is_image_or_table(name) for name in names):
        raise DataError(
            f"hf:{repository.name} contains neither image files nor parquet files; download it "
            f"from {repository.page} and use one of mritk's own formats ('mritk list datasets')"
        )
    folder = repository.files(names, listing, workspace)
    return samples_of(folder, f"hf:{repository.name}", options, workspace)


def _is_data(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") for part in path.parts)
    return not hidden and (_is_image_or_table(name) or path.name in METADATA)


def _is_image_or_table(name: str) -> bool:
    return is_image_name(name) or name.lower().endswith(PARQUET)
