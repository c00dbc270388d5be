"""Label maps on one slice: where a prediction is right, and where it is not.

Of each case one slice is shown, that with most of the foreground of the reference; of volumes it is
across their first axis. Colours are outlines and a faint filling on the image, if there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mritk.data.samples import Samples
from mritk.images.channels import one_channel
from mritk.report.hardest import hardest_first
from mritk.report.row_labels import labelled
from mritk.report.thumbnails import outline, png_address
from mritk.results.table import Table
from mritk.store.record import Predictions

ORDER = ("hardest", "2nd hardest", "3rd hardest", "4th hardest")
ROWS = 6
SIDE = 168  # pixels of the longer side
FILLING = 0.22
COLOURS = 96  # of a picture
# What a voxel can be; colours are Okabe and Ito's, and the page's.
KINDS = {
    "true positive": (0, 158, 115),
    "false positive": (213, 94, 0),
    "false negative": (86, 180, 233),
    "wrong label": (204, 121, 167),
}
LABELS = ((240, 228, 66), (230, 159, 0), (235, 235, 235), (0, 114, 178), (138, 122, 0))


@dataclass(frozen=True)
class Slice:
    """One picture.

    Attributes:
        name: Of its row; of the reference: ``reference``.
        address: The picture as a ``data:`` address.
        told: The scores of the case in this row; empty for the reference.
    """

    name: str
    address: str
    told: str = ""


@dataclass(frozen=True)
class CaseSlices:
    """One case: its reference, and each row.

    Attributes:
        id: The sample.
        why: Why it is shown.
        at: Number of the slice from 0, or empty for images.
        slices: The pictures.
    """

    id: str
    why: str
    at: str
    slices: Sequence[Slice]


@dataclass(frozen=True)
class MaskSlices:
    """What a page shows of the label maps of a table.

    Attributes:
        cases: The cases.
        kinds: By name, the CSS colour of each kind of voxel.
        labels: Likewise of each label of the reference.
        rows: Names of rows that are not shown.
    """

    cases: Sequence[CaseSlices]
    kinds: Mapping[str, str]
    labels: Mapping[str, str]
    rows: Sequence[str]


def shown_cases(table: Table) -> dict[str, str]:
    """Return which cases of a table are shown, by id, and why; none without stored label maps."""
    if not table.task.has_target_maps:
        return {}
    tested = _tested(table)
    ordered = [name for name in hardest_first(table) if name in tested]
    chosen = {name: ORDER[place] for place, name in enumerate(ordered[: len(ORDER)])}
    for name, why in ((ordered[len(ordered) // 2 :][:1], "median"), (ordered[-1:], "easiest")):
        chosen |= {one: why for one in name if one not in chosen}
    return chosen


def mask_slices(table: Table, images: Mapping[str, np.ndarray]) -> MaskSlices | None:
    """Return the pictures of a table; None if no label maps are stored.

    Args:
        table: The table.
        images: By sample, the slice or image that :func:`backgrounds` took; absent: black.
    """
    chosen = shown_cases(table)
    if not chosen:
        return None
    named, _ = labelled(table)
    names = [row.name for row in named.rows if named.records.get(row.name)]
    tested = {name: _tests(named, name) for name in names}
    cases = [
        _case(table, one, why, {name: tested[name] for name in names[:ROWS]}, images.get(one))
        for one, why in chosen.items()
    ]
    foreground = table.task.as_dict()["labels"][1:]
    labels = {name: _css(_colour(number)) for number, name in enumerate(foreground, start=1)}
    kinds = {name: _css(colour) for name, colour in KINDS.items()}
    return MaskSlices(cases, kinds, labels, names[ROWS:])


def backgrounds(samples: Samples, table: Table) -> dict[str, np.ndarray]:
    """Return the shown slice of each shown case, (H, W) uint8 or floats in [0, 1].

    Several channels are shown by their mean; what cannot be read is left out.
    """
    rows = samples.row_of
    tested, found = _tested(table), {}
    for name in shown_cases(table):
        if name in rows:
            part, row = tested[name]
            assert part.references is not None
            try:
                array = one_channel(np.asarray(samples.read(rows[name])), samples.channels)
                found[name] = array[_where(part.references[row])]
            except Exception:  # a sample that cannot be read must not stop a report
                continue
    return found


def _tests(table: Table, row: str) -> dict[str, tuple[Predictions, int]]:
    """Return, by case, the first test part of a row that has its label map, and where."""
    found: dict[str, tuple[Predictions, int]] = {}
    for record in table.records.get(row, ()):
        test = record.predictions["test"]
        if test.masks is not None and test.references is not None:
            for number, name in enumerate(test.id):
                found.setdefault(name, (test, number))
    return found


def _tested(table: Table) -> dict[str, tuple[Predictions, int]]:
    """Return the same of all rows; the best row first."""
    found: dict[str, tuple[Predictions, int]] = {}
    for row in table.rows:
        found = _tests(table, row.name) | found
    return found


def _case(
    table: Table,
    name: str,
    why: str,
    tested: Mapping[str, Mapping[str, tuple[Predictions, int]]],
    image: np.ndarray | None,
) -> CaseSlices:
    some, number = _tested(table)[name]
    assert some.references is not None
    reference = some.references[number]
    where = _where(reference)
    spacing = (some.references.spacing_of(number) or (1.0,) * reference.ndim)[-2:]
    shown = reference[where]
    parts = [(_colour(label), shown == label) for label in np.unique(shown[shown > 0]).tolist()]
    slices = [Slice("reference", _picture(image, shown.shape, parts, spacing))]
    for row, cases in tested.items():
        if name in cases:
            part, at = cases[name]
            assert part.masks is not None
            kinds = errors(part.masks[at][where], shown)
            colours = [(KINDS[kind], voxels) for kind, voxels in kinds.items()]
            picture = _picture(image, shown.shape, colours, spacing)
            slices.append(Slice(row, picture, _told(part, at)))
    return CaseSlices(name, why, str(where[0]) if reference.ndim > 2 else "", slices)


def errors(predicted: np.ndarray, reference: np.ndarray) -> dict[str, np.ndarray]:
    """Return which voxels are of each kind, by :data:`KINDS`; background that is found is of none.

    Args:
        predicted: Label map of any shape.
        reference: The true one.
    """
    found, there = predicted > 0, reference > 0
    kinds = (
        there & (predicted == reference),
        found & ~there,
        there & ~found,
        found & there & (predicted != reference),
    )
    return dict(zip(KINDS, kinds, strict=True))


def _where(reference: np.ndarray) -> tuple[int, ...]:
    """Return the index of the slice with most foreground; of an image, nothing."""
    if reference.ndim < 3:
        return ()
    counts = (reference > 0).sum(axis=tuple(range(1, reference.ndim)))
    return (int(counts.argmax()) if counts.any() else len(counts) // 2,)


def _told(part: Predictions, row: int) -> str:
    """Return the Dice of each region of a case."""
    values = dict(zip(part.cases, part.score[row].tolist(), strict=True))
    dice = {name[5:-1]: value for name, value in values.items() if name.startswith("dice[")}
    return "Dice " + ", ".join(
        f"{name} {'–' if np.isnan(value) else f'{value:.2f}'}" for name, value in dice.items()
    )


def _picture(
    image: np.ndarray | None,
    shape: tuple[int, ...],
    parts: Sequence[tuple[tuple[int, ...], np.ndarray]],
    spacing: Sequence[float],
) -> str:
    """Return a slice with the outlines of parts, as a ``data:`` address."""
    from PIL import Image

    size = np.multiply(shape, spacing)
    height, width = np.maximum(1, np.rint(size * SIDE / size.max())).astype(int).tolist()
    canvas = np.zeros((height, width, 3), dtype=np.float64)
    if image is not None and image.shape[:2] == shape:
        canvas[:] = _grey(image, (width, height))[..., None]
    for colour, voxels in parts:
        large = Image.fromarray(voxels.astype(np.uint8)).resize(
            (width, height), Image.Resampling.NEAREST
        )
        inside = np.asarray(large, dtype=bool)
        canvas[inside] = (1 - FILLING) * canvas[inside] + FILLING * np.asarray(colour)
        canvas[outline(inside)] = colour
    return png_address(np.rint(canvas).astype(np.uint8), COLOURS)


def _grey(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image in grey at a size, float64 in [0, 255]."""
    from PIL import Image

    grey = image.mean(axis=-1) if image.ndim == 3 else image
    scale = 1.0 if image.dtype == np.uint8 else 255.0
    plain = Image.fromarray(np.clip(grey * scale, 0, 255).astype(np.uint8))
    return np.asarray(plain.resize(size, Image.Resampling.BILINEAR), dtype=np.float64)


def _colour(label: int) -> tuple[int, int, int]:
    return LABELS[(label - 1) % len(LABELS)]


def _css(colour: Sequence[int]) -> str:
    return f"rgb({' '.join(map(str, colour))})"
