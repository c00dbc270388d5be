"""The brain-tumour set of Cheng et al. on figshare: ``figshare_brain_tumor``, ``figshare:PATH``.

3,064 T1-weighted contrast-enhanced slices of 233 patients with meningioma, glioma or pituitary
tumour (https://doi.org/10.6084/m9.figshare.1512427, CC BY 4.0), one MATLAB v7.3 file each.

**The patient rule.** File numbers say nothing of patients, and neighbouring numbers are often
neighbouring slices of one tumour, so that a division by file puts nearly every patient on both
sides. The patient stands inside each file, as character codes in ``cjdata/PID``. mritk reads it
from all files and never divides a patient. ``cvind.mat`` holds the publisher's five folds, which
``fold=1`` … ``fold=5`` turn into official parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mritk import (
    Dataset,
    DatasetFamily,
    Unavailable,
    UsageError,
    hookimpl,
    lazy,
    user_path,
)

if TYPE_CHECKING:
    from mritk import Samples, Workspace

NAME = "figshare_brain_tumor"
LICENSE = "CC BY 4.0"
FOLDS = 5
PUBLISHED_FILES = 3064
PAGE = "https://figshare.com/articles/dataset/brain_tumor_dataset/1512427"
DOWNLOAD = (
    f"download the four files brainTumorDataPublic_*.zip and cvind.mat from {PAGE} ({LICENSE}; "
    f"the publisher states no SHA-256)"
)


@dataclass(frozen=True)
class FigshareOptions:
    """What may follow ``figshare:PATH``.

    Attributes:
        fold: The fold of ``cvind.mat`` that is the official test part, 1 to 5; the other four are
            the training part. 0: no official parts, and the protocol divides by patient.
    """

    fold: int = 0

    def __post_init__(self) -> None:
        """Refuse folds that cvind.mat does not have."""
        if not 0 <= self.fold <= FOLDS:
            raise UsageError(
                f"fold={self.fold} is not a fold of cvind.mat; use 1 to {FOLDS}, or 0 for none"
            )


@hookimpl
def mritk_datasets() -> Iterator[Dataset | DatasetFamily]:
    """Yield ``figshare_brain_tumor`` and the family ``figshare:PATH``."""
    yield Dataset(
        NAME,
        open=open_published,
        summary=(
            "brain tumours (figshare 1512427), 3064 slices of 233 patients, 3 classes; manual "
            "download"
        ),
        sources=(NAME,),
        license=LICENSE,
    )
    yield DatasetFamily(
        "figshare",
        resolve=resolve_figshare,
        placeholder="PATH",
        summary=(
            "a folder with the .mat files of figshare 1512427; ,fold=1 to 5 for its official folds"
        ),
        options=FigshareOptions,
        reads=lambda path: any(any(path.glob(f"{at}*.[mM][aA][tT]")) for at in ("", "*/")),
    )


def resolve_figshare(path: str, options: FigshareOptions) -> Iterator[Dataset]:
    """Yield the dataset in the folder ``path``.

    Its name keeps the last part of the path.

    Raises:
        Unavailable: There is no such folder.
    """
    folder = user_path(path)
    if not folder.is_dir():
        raise Unavailable(
            f"no folder {path}; figshare:PATH needs the folder with 1.mat … "
            f"{PUBLISHED_FILES}.mat: {DOWNLOAD} and unpack them there"
        )
    yield Dataset(
        f"figshare:{folder.resolve().name}",
        open=partial(lazy("mritk_figshare.collection:read_collection"), folder, fold=options.fold),
        sources=(NAME,),
        license=LICENSE,
    )


def open_published(workspace: Workspace) -> Samples:
    """Return the whole published set from ``datasets/figshare_brain_tumor`` in the workspace.

    Raises:
        Unavailable: It is not there; the message says what to download and where to put it.
        DataError: Some of its 3,064 files are not there, or a file is malformed.
    """
    from mritk import list_tree
    from mritk_figshare.collection import read_collection

    folder = workspace.home / "datasets" / NAME
    if not folder.is_dir() or not any(
        path.suffix.lower() == ".mat" for tree in list_tree(folder).walk() for path in tree.files
    ):
        raise Unavailable(
            f"{NAME} is not in {folder} and requires a manual download: {DOWNLOAD}, unpack all "
            "four zip files there, and put cvind.mat next to them"
        )
    return read_collection(folder, expected=PUBLISHED_FILES)
