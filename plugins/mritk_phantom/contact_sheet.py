"""A picture of the phantom: one row per class, one column per patient and plane."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

    from mritk import Samples


def contact_sheet(samples: Samples, *, columns: int = 9, scale: int = 1) -> Image.Image:
    """Return a grey picture with ``columns`` slices of each class, each of another patient.

    The plane changes from column to column, so that three columns show sagittal, coronal, axial.

    Args:
        samples: An open phantom.
        columns: Slices per class; patients are taken in order and repeat if there are too few.
        scale: Whole number by which slices are enlarged.
    """
    from PIL import Image, ImageDraw

    ids, patients = np.asarray(samples.ids), np.asarray(samples.patients)
    side, text = samples.read(0).shape[0] * scale, 13
    classes = samples.task.classes  # type: ignore[union-attr]
    sheet = Image.new("L", (columns * side, len(classes) * (side + text)), 0)
    draw = ImageDraw.Draw(sheet)
    for row, name in enumerate(classes):
        members = list(dict.fromkeys(patients[samples.targets == row]))
        for column in range(columns):
            member = members[column % len(members)]
            plane = ("sagittal", "coronal", "axial")[column % 3]
            i = int(np.flatnonzero(ids == f"{member}/{plane}-1")[0])
            corner = (column * side, row * (side + text) + text)
            sheet.paste(Image.fromarray(samples.read(i)).resize((side, side)), corner)
            label = f"{name} {member[-4:]}"
            draw.text((corner[0] + 3, corner[1] - text), label, fill=200)
    return sheet


def save_contact_sheet(samples: Samples, path: Path, *, columns: int = 9, scale: int = 1) -> None:
    """Write :func:`contact_sheet` to an image file."""
    contact_sheet(samples, columns=columns, scale=scale).save(path, optimize=True)
