"""Distances of single slices in files of an earlier definition mean what those of new files do."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from mritk import Segmentation
from mritk.store.content import SEAL, Content
from mritk.store.folder import ResultsFolder
from mritk.store.label_maps import LabelMaps
from mritk.store.layout import write_record
from mritk.store.merge import merge
from mritk.store.record import Predictions
from mritk.store.trial_file import read_trial, write_hdf5
from tests.store.conftest import states

TASK = Segmentation(("background", "x"))
SPACING = (7.0, 2.0, 0.5)
# Scores of the cases of 'label_maps'. Lines five rows of 2 mm apart, and six columns of 0.5 mm.
DICE = [0.0, 0.0, 2 * 32 / (81 + 32), 0.0]
# The outline of the square is the frame. Where all of the square counts, it is up to 2 mm from it.
TODAY, EARLIER = [10.0, 3.0, 0.0, 10.0], [10.0, 3.0, 2.0, 10.0]
# Of validation no label maps are stored.
VALIDATION = [(0.5, 1.25), (0.25, 2.5)]


def region(rows, columns, slices=1):
    found = np.zeros((slices, 12, 16), np.uint8)
    found[:, rows, columns] = 1
    return found


def label_maps():
    """Predicted and true ones of three single slices and a volume."""
    lines = [region(row, slice(2, 6)) for row in (3, 8)]
    columns = [region(slice(2, 6), column) for column in (4, 10)]
    square = region(slice(1, 10), slice(2, 11))
    frame = square - region(slice(2, 9), slice(3, 10))
    volumes = [region(row, slice(2, 6), slices=2) for row in (3, 8)]
    return zip(lines, columns, (square, frame), volumes, strict=True)


def part(names, scores, maps=(None, None)):
    unknown, spacing = [""] * len(names), np.tile(SPACING, (len(names), 1))
    masks, references = (None if one is None else LabelMaps.of(one, spacing) for one in maps)
    return Predictions(
        names,
        unknown,
        unknown,
        unknown,
        np.zeros(len(names)),
        np.asarray(scores),
        cases=TASK.columns,
        masks=masks,
        references=references,
    )


@pytest.fixture
def measured(sound):
    """Make a sound trial with these distances."""

    def make(distances, maps=None, **columns):
        names, scores = [f"s{row}" for row in range(4)], list(zip(DICE, distances, strict=True))
        test = part(names, scores, maps or label_maps())
        parts = {"test": test, "val": part(["v0", "v1"], VALIDATION)}
        return sound(task=TASK, predictions=parts, **columns)

    return make


def write_as_earlier(record, folder):
    """Write a trial file that does not tell by which definition its cases were measured."""

    def fill(file):
        write_record(record, file)
        file.attrs.pop("cases", None)
        file.attrs[SEAL] = Content(file).digest()

    write_hdf5(folder.trial_path(record.id), fill)


@pytest.fixture
def earlier(measured, tmp_path):
    """A folder of one trial as it was measured earlier."""
    folder = ResultsFolder(tmp_path / "earlier")
    write_as_earlier(measured(EARLIER, id="aaaa"), folder)
    folder.rebuild_view()
    return folder


@pytest.fixture
def today(measured, tmp_path):
    """A folder of the same trial as it is measured today."""
    folder = ResultsFolder(tmp_path / "today")
    folder.write(measured(TODAY, id="aaaa"))
    return folder


def test_distances_of_single_slices_are_measured_anew(earlier):
    found = read_trial(earlier.trial_path("aaaa")).predictions
    assert found["test"].score.tolist() == [list(row) for row in zip(DICE, TODAY, strict=True)]
    np.testing.assert_array_equal(found["val"].score, [(0.5, np.nan), (0.25, np.nan)])


def test_only_what_was_measured_otherwise_is_measured_anew(measured, earlier, today):
    """Neither Dice nor volumes are, nor files that tell the definition of today."""
    planted = measured([*EARLIER[:3], 77.0], id="bbbb")
    planted.predictions["test"].score[0, 0] = 0.5
    write_as_earlier(planted, earlier)
    found = read_trial(earlier.trial_path("bbbb")).predictions["test"].score
    assert (found[0, 0], *found[2:, 1]) == (0.5, 0.0, 77.0)
    today.write(measured(EARLIER, id="bbbb"))
    found = read_trial(today.trial_path("bbbb")).predictions
    assert found["test"].score[:, 1].tolist() == EARLIER
    assert found["val"].score.tolist() == [list(row) for row in VALIDATION]


def test_validation_keeps_its_distances_beside_volumes(measured, earlier):
    volumes = [[np.repeat(one, 3, axis=0) for one in maps] for maps in label_maps()]
    write_as_earlier(measured([77.0] * 4, volumes, id="bbbb"), earlier)
    found = read_trial(earlier.trial_path("bbbb")).predictions
    assert found["test"].score[:, 1].tolist() == [77.0] * 4
    assert found["val"].score.tolist() == [list(row) for row in VALIDATION]


def test_label_maps_that_do_not_fit_are_read_and_told(mritk, measured, earlier):
    predicted, true = map(list, label_maps())
    predicted[2] = predicted[2] * 9
    write_as_earlier(measured(EARLIER, (predicted, true), id="bbbb"), earlier)
    assert read_trial(earlier.trial_path("bbbb")).predictions["test"].score[2, 1] == EARLIER[2]
    ended = mritk("verify", "bbbb", "--results", earlier.path)
    assert ended.code == 1
    assert "the label maps of s2 do not fit" in ended.out


def test_doctor_and_verify_find_nothing_wrong_with_earlier_files(mritk, earlier):
    assert states(mritk, earlier) == (0, set())
    assert mritk("verify", "aaaa", "--results", earlier.path).code == 0


def test_rescore_tells_todays_distances_and_which_are_unknown(mritk, earlier):
    told = csv.DictReader(io.StringIO(mritk("rescore", earlier.path, "--csv").out))
    rows = {(row["part"], row["metric"]): row for row in told}
    assert float(rows["test", "hd95"]["value"]) == np.mean(TODAY)
    assert float(rows["val", "dice"]["value"]) == 0.375
    assert rows["val", "hd95"]["value"] == "nan"
    assert rows["val", "hd95"]["reason"].endswith("or the distances are unknown")


@pytest.mark.slow
def test_an_earlier_file_and_one_of_today_have_one_distance(mritk, earlier, today):
    ended = mritk("compare", earlier.path, today.path, "--metric", "hd95", "--json")
    (found,) = json.loads(ended.out)["changes"]
    assert (found["base"], found["head"]) == (np.mean(TODAY), np.mean(TODAY))


@pytest.mark.parametrize("earlier_first", [True, False])
def test_a_merge_finds_both_the_same(earlier, today, earlier_first):
    folders = [earlier, today] if earlier_first else [today, earlier]
    found = merge([folders[0]], folders[1], dry_run=True)
    assert (len(found.same), found.conflicts) == (1, [])


@pytest.mark.parametrize("part", ["test", "val"])
def test_a_merge_finds_other_scores_of_cases_a_conflict(measured, earlier, tmp_path, part):
    other = ResultsFolder(tmp_path / "other")
    record = measured(TODAY, id="aaaa")
    record.predictions[part].score[0, 0] += 0.125
    other.write(record)
    assert len(merge([earlier], other, dry_run=True).conflicts) == 1


@pytest.mark.parametrize("distance", [np.nan, 77.0])
def test_distances_of_files_of_today_are_known(measured, today, tmp_path, distance):
    other = ResultsFolder(tmp_path / "other")
    record = measured(TODAY, id="aaaa")
    record.predictions["val"].score[:, 1] = distance
    other.write(record)
    assert len(merge([other], today, dry_run=True).conflicts) == 1
