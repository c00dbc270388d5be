"""Label maps in the report: which cases are shown, and what their outlines say."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from mritk.cli.main import main
from mritk.report.mask_slices import KINDS, SIDE, errors, mask_slices, shown_cases
from mritk.results.analysis import Analysis
from mritk.results.leaderboard import build_leaderboard
from mritk.results.table_trial import TableTrial
from mritk.store.folder import ResultsFolder
from tests.test_segmentation import PLUGIN


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slices")
    (folder / "balls.py").write_text(PLUGIN)
    for protocol in ("between", "high"):
        asked = ["-d", "balls", "--protocol", protocol, "-o", str(folder / "results")]
        assert main(["run", "-p", str(folder / "balls.py"), *asked]) == 0
    return folder


@pytest.fixture(scope="module")
def table(trained):
    trials = [TableTrial.of(record) for record in ResultsFolder(trained / "results").trials()]
    (found,) = build_leaderboard(trials, analysis=Analysis(interval="none")).tables
    return found


def pixels(address):
    head, _, content = address.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB")).astype(int)


def has(picture, colour):
    """Whether some pixel has nearly this colour; palettes round."""
    return (np.abs(picture - np.asarray(colour)).max(axis=-1) < 12).any()


def test_voxels_are_right_invented_missed_or_of_another_label():
    predicted = np.asarray([0, 1, 1, 0, 1, 2])
    reference = np.asarray([0, 1, 0, 2, 2, 2])
    found = {name: np.flatnonzero(voxels).tolist() for name, voxels in
             errors(predicted, reference).items()}  # fmt: skip
    assert found == {
        "true positive": [1, 5],
        "false positive": [2],
        "false negative": [3],
        "wrong label": [4],
    }


@pytest.mark.slow
def test_the_hardest_cases_are_shown_and_the_median_and_the_easiest(table):
    chosen = shown_cases(table)
    assert list(chosen.values()) == [
        "hardest", "2nd hardest", "3rd hardest", "4th hardest", "median", "easiest",
    ]  # fmt: skip
    first = table.every_record[0].predictions["test"]
    dice = {
        name: np.mean([
            np.nanmean(record.predictions["test"].score[row, :2]) for record in table.every_record
        ])
        for row, name in enumerate(first.id)
        if not np.isnan(first.score[row, :2]).all()
    }  # fmt: skip
    order = [name for name in chosen if name in dice]
    assert order[0] == min(dice, key=dice.get)


@pytest.mark.slow
def test_each_outline_has_the_colour_of_what_it_is(table):
    shown = mask_slices(table, {})
    tests = {row.name: table.records[row.name][0].predictions["test"] for row in table.rows}
    for case in shown.cases:
        reference, *rows = case.slices
        assert reference.name == "reference"
        assert {one.name for one in rows} == set(tests)
        for one in rows:
            test = tests[one.name]
            number, at = test.id.index(case.id), int(case.at)
            picture = pixels(one.address)
            assert max(picture.shape) == SIDE
            slice_ = test.masks[number][at], test.references[number][at]
            for kind, voxels in errors(*slice_).items():
                assert has(picture, KINDS[kind]) == voxels.any(), (case.id, one.name, kind)
            assert one.told.startswith("Dice whole ")


@pytest.mark.slow
def test_a_slice_has_its_sides_in_mm_and_its_image_below(table):
    name = next(iter(shown_cases(table)))
    image = np.full((10, 12), 200, dtype=np.uint8)
    plain, with_image = mask_slices(table, {}), mask_slices(table, {name: image})
    assert pixels(plain.cases[0].slices[0].address).shape == (140, SIDE, 3)
    corner = [pixels(of.cases[0].slices[0].address)[0, 0].tolist() for of in (plain, with_image)]
    assert corner[0] == [0, 0, 0]
    assert max(abs(value - 200) for value in corner[1]) < 12


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures_of_tables")
def test_the_page_shows_them_and_says_where_their_images_are(mritk, trained, tmp_path):
    pages = {}
    for name, options in (("plain", ()), ("images", ("-d", "balls"))):
        page = tmp_path / f"{name}.html"
        asked = ("-p", trained / "balls.py", *options, "-o", page)
        ended = mritk("report", trained / "results", *asked)
        assert ended.code == 0, ended.err
        pages[name] = page.read_text()
    for name, page in pages.items():
        assert 'id="table-1-masks">Label maps' in page
        assert page.count('class="masks"') == 6
        assert ("Trial files hold no pixels" in page) == (name == "plain")
        assert all(f"</span>{kind}" in page for kind in (*KINDS, "rim", "core"))
    pictures = {name: re.findall(r'src="(data:[^"]+)"', page) for name, page in pages.items()}
    assert not set(pictures["plain"]) & set(pictures["images"])
