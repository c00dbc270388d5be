"""Names beside points, none upon another."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox

from mritk.report.style import INK, RULE

# Where a name may stand, in points from its point: right, left, then ever further up and down.
STEPS = (0, 9, -9, 18, -18, 27, -27, 36, -36, 45, -45, 54, -54, 63, -63)
PLACES = [(6 * side, step, side) for step in STEPS for side in (1, -1)]
Place = tuple[int, int, int]
SIZE = 8
POINT = 4  # half the room that a point takes
# How bad a place is: by what it covers in square pixels, by lines it crosses, by its distance.
COVERED, FAR = 10, 3


def label_points(
    axes: Axes,
    points: Sequence[tuple[float, float, str]],
    spans: Sequence[tuple[float, float, float]] = (),
) -> None:
    """Write the name of each point beside it, where it covers no other name, point or span.

    A name that stands further off is led to by a line.

    Args:
        axes: Axes whose limits do not change afterwards.
        points: Their x, y and name.
        spans: Upright lines: their x, and where they end.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    FigureCanvasAgg(figure).draw()
    taken = [_around(axes, x, y, y) for x, y, _ in points]
    lines = [_around(axes, x, low, high, POINT / 4) for x, low, high in spans]
    frame = axes.get_window_extent()
    for x, y, name in points:

        def badness(place: Place, at: tuple[float, float] = (x, y), name: str = name) -> float:
            box = _box(axes, at, name, place)
            covered = sum(_overlap(box, other) for other in taken)
            crossed = sum(_overlap(box, line) for line in lines)
            return COVERED * (covered + _outside(box, frame)) + crossed + FAR * abs(place[1])

        right, up, side = min(PLACES, key=badness)
        taken.append(_box(axes, (x, y), name, (right, up, side)))
        line = {"arrowstyle": "-", "color": RULE, "lw": 0.6, "relpos": (0 if side > 0 else 1, 0.5)}
        axes.annotate(
            name,
            (x, y),
            xytext=(right, up),
            textcoords="offset points",
            fontsize=SIZE,
            color=INK,
            ha="left" if side > 0 else "right",
            va="center",
            arrowprops=line if abs(up) > SIZE else None,
        )


def _box(axes: Axes, at: tuple[float, float], name: str, place: Place) -> Bbox:
    """Return where a name would stand, in pixels."""
    right, up, side = place
    text = axes.annotate(
        name, at, xytext=(right, up), textcoords="offset points", fontsize=SIZE, va="center",
        ha="left" if side > 0 else "right",
    )  # fmt: skip
    box = text.get_window_extent()
    text.remove()
    return box


def _around(axes: Axes, x: float, low: float, high: float, room: float = POINT) -> Bbox:
    left, bottom = axes.transData.transform((x, low))
    right, top = axes.transData.transform((x, high))
    return Bbox([[left - room, bottom - room], [right + room, top + room]])


def _overlap(one: Bbox, other: Bbox) -> float:
    both = Bbox.intersection(one, other)
    return 0.0 if both is None else both.width * both.height


def _outside(box: Bbox, frame: Bbox) -> float:
    inside = Bbox.intersection(box, frame)
    return box.width * box.height - (0.0 if inside is None else inside.width * inside.height)
