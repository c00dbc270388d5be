"""What the page says of the explanations of a trial: scores of its maps, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mritk.data.samples import Samples
from mritk.report.overlays import Overlaid, overlays
from mritk.results.explanation_table import ExplanationTable
from mritk.store.explanations import Explanations


@dataclass(frozen=True)
class Explained:
    """The explanations of one trial.

    Attributes:
        trial: Beginning of its id.
        row: Its row in the table.
        cases: Number of cases, and of those with a lesion.
        heads: Headings of the scores.
        rows: Cells of each row, its name first.
        notes: Sentences.
        pictures: Cases with their maps; none where the data are not open.
    """

    trial: str
    row: str
    cases: tuple[int, int]
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]
    pictures: Sequence[Overlaid]


def explained(found: Explanations, row: str, samples: Samples | None) -> Explained:
    """Return what is shown of the explanations of a trial.

    Args:
        found: The explanations.
        row: What the trial is called in the table.
        samples: The samples that were explained, for pictures; None: they are not open.
    """
    table = ExplanationTable(found)
    columns = table.columns()
    return Explained(
        found.trial[:8],
        row,
        (len(found.id), int(found.located.sum())),
        [column.heading for column in columns],
        list(zip(*(column.cells for column in columns), strict=True)),
        table.sentences(),
        overlays(found, samples) if samples is not None else [],
    )
