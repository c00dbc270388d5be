"""Names of classes and rows may hold characters that the font of matplotlib lacks."""

from __future__ import annotations

import warnings

import pytest
from matplotlib.figure import Figure

from mritk.report.labels import label_points
from mritk.report.style import inline_svg, legend_below, panels, save, styled

BRAIN = "\U0001f9e0 gliom"


def drawn() -> Figure:
    figure, (axes,) = panels(1)
    with styled():
        axes.set_title(BRAIN)
        (line,) = axes.plot([0, 1])
        legend_below(figure, {BRAIN: line})
        label_points(axes, [(0, 0, BRAIN)])
    return figure


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_no_warning_of_python_is_printed(tmp_path, ending):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(drawn(), tmp_path / f"plot.{ending}", 50)
    assert (tmp_path / f"plot.{ending}").stat().st_size


def test_the_name_stands_in_the_page_as_it_is():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = inline_svg(drawn(), "a", "label")
    assert svg.count(BRAIN) == 3


def test_other_warnings_are_still_told():
    with pytest.warns(UserWarning, match="of something else"), styled():
        warnings.warn("of something else", UserWarning, stacklevel=1)
