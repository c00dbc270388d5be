"""Programs in other environments: interpreters, virtual environments, containers.

The names below are public; the modules are not. They load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mritk.lazy_import import lazy_names

if TYPE_CHECKING:
    from mritk.external.answers import read_label_map as read_label_map
    from mritk.external.answers import read_label_maps as read_label_maps
    from mritk.external.answers import read_scores as read_scores
    from mritk.external.answers import scores_of as scores_of
    from mritk.external.cases import Case as Case
    from mritk.external.cases import CaseFolder as CaseFolder
    from mritk.external.entrant import Entrant as Entrant
    from mritk.external.environment import Environment as Environment
    from mritk.external.environment import Mount as Mount
    from mritk.external.environment import find_environment as find_environment
    from mritk.external.program import Patience as Patience
    from mritk.external.program import ProgramFailed as ProgramFailed
    from mritk.external.program import lines_of as lines_of
    from mritk.external.program import run_program as run_program
    from mritk.external.progress import Progress as Progress
    from mritk.external.progress import epoch_of as epoch_of
    from mritk.external.work_folder import WorkFolder as WorkFolder

_PUBLIC = {
    "mritk.external.answers": "read_label_map read_label_maps read_scores scores_of",
    "mritk.external.cases": "Case CaseFolder",
    "mritk.external.entrant": "Entrant",
    "mritk.external.environment": "Environment find_environment Mount",
    "mritk.external.program": "lines_of Patience ProgramFailed run_program",
    "mritk.external.progress": "epoch_of Progress",
    "mritk.external.work_folder": "WorkFolder",
}

__all__, __getattr__, __dir__ = lazy_names(__name__, _PUBLIC)
