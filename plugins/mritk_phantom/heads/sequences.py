"""How bright each tissue is in each sequence, white matter in T1 being 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mritk_phantom.lesion import NECROSIS, OEDEMA, SOLID, Appearance

# Labels of a label map: 0 is background.
NECROTIC, SWOLLEN, ENHANCING = 1, 2, 3
LABELS = ("background", "necrosis", "oedema", "enhancing")
REGIONS = {
    "WT": ("necrosis", "oedema", "enhancing"),
    "TC": ("necrosis", "enhancing"),
    "ET": ("enhancing",),
}
# A tumour enhances where it is this much brighter than white matter.
ENHANCES = 0.95


@dataclass(frozen=True)
class Sequence:
    """Brightness of tissues in one sequence.

    Attributes:
        grey: Grey matter; None: as the site has it.
        white: White matter.
        fluid: Cerebrospinal fluid; None: as the site has it.
        muscle: Muscle and skin.
        fat: Fat.
        marrow: Marrow of the skull.
        texture: How much of the fine texture of T1 shows.
        deep: What is added to white matter around the ventricles of the oldest.
        necrotic: Dead tissue, cysts, and tumour that does not enhance.
        swollen: Fully swollen tissue.
        solid: Enhancing tumour; None: as bright as contrast agent makes it.
    """

    grey: float | None
    white: float
    fluid: float | None
    muscle: float
    fat: float
    marrow: float
    texture: float
    deep: float
    necrotic: float
    swollen: float
    solid: float | None


BRIGHTNESS = {
    "t1": Sequence(None, 1.0, None, 0.6, 1.35, 1.1, 1.0, -0.12, 0.5, 0.68, 0.7),
    "t1ce": Sequence(None, 1.0, None, 0.7, 1.35, 1.1, 1.0, -0.12, 0.45, 0.66, None),
    "t2": Sequence(0.72, 0.52, 1.45, 0.35, 0.95, 0.7, -0.4, 0.3, 1.2, 1.1, 0.95),
    "flair": Sequence(0.88, 0.7, 0.22, 0.45, 0.85, 0.7, -0.3, 0.4, 0.85, 1.3, 1.1),
}


def tumour_labels(look: Appearance) -> np.ndarray:
    """Return the label map of a tumour in its window, uint8."""
    labels = np.zeros(look.labels.shape, dtype=np.uint8)
    labels[look.labels == OEDEMA] = SWOLLEN
    solid = look.labels == SOLID
    labels[solid] = np.where(look.brightness[solid] > ENHANCES, ENHANCING, NECROTIC)
    labels[look.labels == NECROSIS] = NECROTIC
    return labels


def tumour_brightness(look: Appearance, labels: np.ndarray, sequence: Sequence) -> np.ndarray:
    """Return how bright a tumour with these labels is in a sequence, float32 of its window.

    Patches that are brighter or darker in contrast-enhanced T1 are so, weakly, in each sequence.
    """
    if sequence.solid is None:
        return look.brightness
    enhancing = labels == ENHANCING
    level = np.where(enhancing, np.float32(sequence.solid), np.float32(sequence.necrotic))
    patchy = np.zeros_like(level)
    for part in (enhancing, labels == NECROTIC):
        if part.any():
            patchy[part] = look.brightness[part] - look.brightness[part].mean()
    return level + np.float32(0.3) * patchy
