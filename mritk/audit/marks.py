"""Letters and arrows that were burned into one of two pictures at a corner of the frame.

They are told from a lesion by where and what they are: near two sides of the frame, thin strokes of
the brightest value there is, longer than they are wide. What they cover is not known, so it is
taken from the other picture and not compared.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from mritk.audit.register import grid

# Where scanners and viewers write, in shares of the frame: a quarter of it from one side and a
# third, the length of a word, from the other.
NEAR, FAR = 0.25, 0.35

# Share of the way from what lies below to the brightest value, above which a pixel is of a stroke,
# and that of the faint edges and thin parts beside it. What a mark reaches somewhere: strokes
# thinner than a pixel, and those of two, which show the value itself.
STROKE, FAINT = 0.35, 0.12
BRIGHT, BRIGHT_IF_WIDE = 0.5, 0.7
# Share of the range below the brightest value in which a mark cannot be seen.
HIDDEN = 0.35
# Strokes are thinner than 4 pixels of 128 and letters at least 6 high: a disc as thin as that has 5
# at most. No more than this share of a mark, where letters are filled in, may be thick.
HIGH, THICK = 6, 0.3
# Pixels that letters lie apart, twice, and the reach of their edges.
APART = 2


def corner_marks(pictures: np.ndarray, below: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Return where pictures show marks, with a margin, (P, S, S) bool.

    Args:
        pictures: (P, S, S) float32, S about 128.
        below: The same as they would be without marks.
        corners: (P, S, S) bool, where marks may lie; see :func:`in_corners`.
    """
    top = pictures.max(axis=(1, 2), keepdims=True)
    span = top - pictures.min(axis=(1, 2), keepdims=True)
    height = (pictures - below) / np.maximum(np.maximum(top - below, 0.2 * span), 1e-6)
    hidden = top - below < HIDDEN * span
    found = np.zeros(pictures.shape, bool)
    for k in np.flatnonzero((height > BRIGHT).any(axis=(1, 2))):
        found[k] = _marks(height[k], hidden[k], corners[k])
    return found


def _marks(height: np.ndarray, hidden: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Return where one picture (S, S) shows marks."""
    from scipy import ndimage

    square, octagon = np.ones((3, 3), bool), np.ones((4, 4), bool)
    octagon[[0, 0, -1, -1], [0, -1, 0, -1]] = False
    strokes = height > STROKE
    wide = ndimage.binary_opening(strokes, np.ones((2, 2), bool))
    # Where a bright head or the end of the frame may hide the rest of a disc, it counts as there.
    thick = np.pad(strokes | hidden, len(octagon), constant_values=True)
    thick = ndimage.binary_opening(thick, octagon)[(slice(len(octagon), -len(octagon)),) * 2]
    words, _ = ndimage.label(ndimage.binary_dilation(strokes, square, APART), square)
    kept = [False]
    for word, box in enumerate(ndimage.find_objects(words), 1):
        own = strokes[box] & (words[box] == word)
        places = np.argwhere(own)
        bright = BRIGHT_IF_WIDE if wide[box][own].mean() > 0.5 else BRIGHT
        kept.append(
            bool(
                (np.ptp(places, axis=0) + 1).max() >= HIGH
                and height[box][own].max() >= bright
                and corners[box][own].all()
                and thick[box][own].mean() <= THICK
            )
        )
    marks = strokes & np.array(kept)[words]
    if marks.any():
        marks = ndimage.binary_propagation(marks, square, mask=marks | (height > FAINT))
        marks = ndimage.binary_dilation(marks, square, APART)
    return marks


@cache
def in_corners(side: int) -> np.ndarray:
    """Return where in a frame marks may lie, (side, side) float32: 1 there and 0 elsewhere."""
    rows, columns = (0.5 - np.abs(place) for place in grid(side))
    near, far = np.minimum(rows, columns), np.maximum(rows, columns)
    places: np.ndarray = ((near <= NEAR) & (far <= FAR)).astype(np.float32)
    return places
