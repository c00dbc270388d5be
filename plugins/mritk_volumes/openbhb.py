"""``openbhb:PATH,target=age|sex``: the public part of OpenBHB (Dufumier et al. 2022).

3,227 training scans of healthy people, and two official parts to test on: *internal*, of the
training scanners, and *external*, of scanners of which there is no training scan. Nothing is
downloaded: the folder is a copy of the repository ``benoit-dufumier/openBHB`` of Hugging Face.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from mritk import Dataset, Unavailable, UsageError, lazy, user_path

TARGETS = ("age", "sex")
TABLE = "participants.tsv"
SOURCES = (
    *("OpenBHB", "ABIDE I", "ABIDE II", "IXI", "CoRR", "GSP", "Localizer", "MPI-Leipzig"),
    *("NAR", "NPC", "RBP"),
)
PAGE = "https://huggingface.co/datasets/benoit-dufumier/openBHB"


@dataclass(frozen=True)
class OpenBHBOptions:
    """What may follow ``openbhb:PATH``.

    Attributes:
        target: What is predicted: ``age`` or ``sex``; there is no default.
        modality: ``vbm``: grey matter of CAT12, 121 × 145 × 121 voxels of 1.5 mm; ``quasiraw``:
            the skull-stripped scan, registered linearly, 182 × 218 × 182 voxels of 1 mm.
        test: The official part that is the test set: ``external``, ``internal`` or ``both``. A
            part that is not tested is left out.
        resolution: Voxels of ``quasiraw`` in mm: 1.5, as in BHB-10K, or 1.0, as published.
    """

    target: str = ""
    modality: Literal["vbm", "quasiraw"] = "vbm"
    test: Literal["external", "internal", "both"] = "external"
    resolution: float = 1.5

    def __post_init__(self) -> None:
        """Refuse what cannot be read.

        Raises:
            UsageError: An unknown target, or voxels of another size.
        """
        if self.target not in TARGETS:
            what = f"unknown target {self.target}" if self.target else "no target"
            raise UsageError(f"{what}; write openbhb:PATH,target=" + "|".join(TARGETS))
        if self.resolution not in (1.0, 1.5):
            raise UsageError(f"resolution={self.resolution:g}: write 1.5 or 1.0 (mm)")


def resolve_openbhb(path: str, options: OpenBHBOptions) -> Iterator[Dataset]:
    """Yield the dataset in the folder ``path``; its name keeps the last part of the path only.

    Raises:
        Unavailable: The folder has no table of participants.
    """
    folder = user_path(path)
    if not (folder / TABLE).is_file():
        raise Unavailable(
            f"no {TABLE} in {path}; openbhb:PATH needs a copy of {PAGE}: participants.tsv and the "
            "folders train and val, of which *_T1w.npy under derivatives are enough"
        )
    yield Dataset(
        f"openbhb:{folder.name or folder.resolve().name}",
        open=partial(lazy("mritk_volumes.openbhb_samples:open_scans"), folder, options),
        sources=SOURCES,
        license="CC BY-NC-SA 3.0 and the agreements of the cohorts",
    )
