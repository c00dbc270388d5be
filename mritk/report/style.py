"""What all figures share: colours, type, and the ways out: a file, or SVG inside a page.

Colours are those of Okabe & Ito, which people with colour-blindness tell apart; lines also differ
in their dashes, for print without colour.
"""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from mritk.errors import UsageError
from mritk.evaluate.metric import Metric
from mritk.text.visible import visible

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a7a00", "#7f7f7f")
DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = ("-", "--", "-.", (0, (1, 1)))
# Stand-ins that a page replaces by its own colours, light or dark; as it does with those above.
INK, RULE = "#1a2b3c", "#a1b2c3"
PAGE_COLOURS = {
    INK: "currentColor",
    RULE: "var(--rule)",
    **{own: f"var(--row-{number})" for number, own in enumerate(COLOURS)},
}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mritk",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}

# Characters of a name in a figure, of a line of a title, and inches that one of them takes.
LONGEST, TITLE_WIDTH, INCHES = 44, 30, 0.075
LINE = 0.19  # inches that a line of a legend takes


@contextmanager
def styled() -> Iterator[None]:
    """Draw in this style, and with any name: a page has fonts for what matplotlib's own lacks."""
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        yield


def panels(
    count: int, *, columns: int = 3, width: float = 2.6, height: float = 2.6
) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure of ``count`` panels of this size in inches, a few in each row."""
    across = max(1, min(columns, count))
    down = -(-count // across)
    with styled():
        figure = Figure(figsize=(width * across, height * down), layout="constrained")
        axes = figure.subplots(down, across, squeeze=False).ravel()
    for unused in axes[count:]:
        unused.set_axis_off()
    return figure, list(axes[:count])


def colour(number: int) -> str:
    """Return the colour of row ``number``."""
    return COLOURS[number % len(COLOURS)]


def dash(number: int) -> str | tuple[int, tuple[int, ...]]:
    """Return the dashes of row ``number``: others when its colour comes round again."""
    return DASHES[(number + number // len(COLOURS)) % len(DASHES)]


def short(name: str) -> str:
    """Return a name, or one that is too long for a figure by its beginning and its end."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2 - 1]}…{name[-LONGEST // 2 :]}"


def title_of(name: str) -> str:
    """Return a name as the title of a panel, in as many lines as it takes."""
    return "\n".join(textwrap.wrap(short(name), TITLE_WIDTH)) or name


def width_of(names: Iterable[str]) -> float:
    """Return how many inches the longest of these names takes."""
    return max((INCHES * len(short(name)) for name in names), default=0.0)


def axis_label(metric: Metric) -> str:
    """Return the name of an axis: the metric, and which way is better."""
    words = {True: "higher is better", False: "lower is better"}
    told = words.get(bool(metric.higher_is_better)) if metric.arrow else ""
    return f"{metric.label} {metric.arrow} ({told})" if told else metric.label


def legend_below(
    figure: Figure,
    kinds: Mapping[str, Any] | Sequence[tuple[str, Any]],
    *,
    columns: int = 4,
    note: str = "",
) -> None:
    """Explain the marks of a figure below it.

    Args:
        figure: The figure, which grows by what that takes.
        kinds: A mark of each kind, by what it means; as pairs where names may be alike.
        columns: How many stand side by side, at most: as many as there is room for.
        note: Sentences above them.
    """
    pairs = list(kinds.items() if isinstance(kinds, Mapping) else kinds)
    if not pairs and not note:
        return
    width, height = figure.get_size_inches()
    told = textwrap.wrap(note, int(width / INCHES))
    columns = max(1, min(columns, len(pairs)))
    while (taken := _legend(figure, pairs, columns, told)) > width and columns > 1:
        figure.legends[-1].remove()
        columns -= 1
    lines = -(-len(pairs) // columns) + len(told)
    figure.set_size_inches(max(width, taken), height + LINE * lines)


def _legend(
    figure: Figure, pairs: Sequence[tuple[str, Any]], columns: int, note: Sequence[str]
) -> float:
    """Add a legend; return how many inches it is wide."""
    legend = figure.legend(
        [mark for _, mark in pairs],
        [words for words, _ in pairs],
        loc="outside lower center",
        ncols=columns,
        fontsize=8,
        title="\n".join(note) or None,
        title_fontsize=8,
    )
    extent = legend.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    return float(extent.width / figure.dpi)


def rest_note(shown: int, rows: int) -> str:
    """Say that a figure does not show all rows, if so."""
    return f"The first {shown} of {rows} rows." if shown < rows else ""


def save(figure: Figure, path: Path, dpi: int) -> None:
    """Write a figure as PNG, SVG or PDF, by the ending of ``path``.

    Raises:
        UsageError: It is another ending, or the file cannot be written.
    """
    ending = path.suffix.lower()
    if ending not in (".png", ".svg", ".pdf"):
        raise UsageError(f"{path.name} must end in .png, .svg or .pdf")
    _make_visible(figure)
    no_date = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(ending)
    try:
        with styled():
            figure.savefig(path, dpi=dpi, facecolor="white", metadata=no_date)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error


def _make_visible(figure: Figure) -> None:
    """Write out control characters of names: XML has no place for them, escaped or not."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(visible(text.get_text()))


def inline_svg(figure: Figure, prefix: str, label: str) -> str:
    """Return a figure as SVG for a page, in the colours of the page.

    Its ids get the prefix, so that figures of one page do not clash; a screen reader says the
    label, which is escaped here.
    """
    from markupsafe import escape

    _make_visible(figure)
    out = io.StringIO()
    with styled():
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{prefix}-", svg)
    for placeholder, own in PAGE_COLOURS.items():
        svg = svg.replace(placeholder, own)
    width, height = figure.get_size_inches() * 72
    head = (
        f'<svg role="img" aria-label="{escape(visible(label))}" viewBox="0 0 {width:g} {height:g}" '
        # Below that its text is too small to be read: the page scrolls it.
        f'style="max-width:{width * 1.25:.0f}px;min-width:{width * 0.9:.0f}px" '
        f'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return head + svg[svg.index(">") + 1 :]
