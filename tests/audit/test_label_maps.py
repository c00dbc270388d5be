"""What an audit tells of the label maps of a segmentation."""

from __future__ import annotations

import numpy as np
import pytest

from mritk import Segmentation
from mritk.audit.label_maps import with_label_maps

TASK = Segmentation(("background", "core"))


def a_map(row):
    label_map = np.zeros((96, 96), np.uint8)
    label_map[row] = 1
    return label_map


@pytest.fixture
def told(heads, as_samples, audited):
    """Return the findings, by kind, of four images with label maps."""

    def findings(maps, pictures=heads[:4], patients=("p0", "p1", "p2", "p3")):
        def read_target(i):
            if isinstance(maps[i], Exception):
                raise maps[i]
            return maps[i]

        samples = as_samples(
            pictures, task=TASK, targets=np.empty(0), read_target=read_target, patients=patients
        )
        return {finding.kind: finding for finding in with_label_maps(audited(samples)).findings}

    return findings


def test_good_label_maps_are_not_mentioned(told):
    assert told([a_map(i) for i in range(4)]) == {}


def test_each_label_map_that_a_run_refuses_is_a_defect_with_its_reason(told):
    found = told([a_map(0) * 7, ValueError("no labels"), a_map(2)[:5], a_map(3)])
    assert set(found) == {"unreadable"}
    assert found["unreadable"].level == "defect"
    assert found["unreadable"].text.startswith("3 of 4 label maps are unusable: image-000 (has the")
    value, reading, shape = found["unreadable"].items
    assert "has the value 7, but the labels are 0 to 1" in value
    assert reading == "image-001 (no labels)"
    assert shape == "image-002 (has shape (5, 96), but its image (96, 96))"


def test_background_alone_is_noted_and_is_a_defect_if_there_is_nothing_else(told):
    empty = np.zeros((96, 96), np.uint8)
    found = told([a_map(0), empty, ValueError("no labels"), empty])["background"]
    assert found.level == "note"
    assert found.text == "2 of 4 label maps hold background alone: image-001, image-003"
    assert told([empty] * 4)["background"].level == "defect"


def test_one_label_map_of_several_patients_is_told_unless_their_images_are_copies(told, heads):
    maps = [a_map(0), a_map(1), a_map(0), np.zeros((96, 96), np.uint8)]
    found = told(maps)["maps"]
    assert found.level == "note"
    assert found.text == ("1 label map under several patient ids: image-000 (p0) = image-002 (p2)")
    assert "maps" not in told(maps, patients=("p0", "p1", "p0", "p3"))
    assert "maps" not in told(maps, patients=None)
    copied = told(maps, pictures=[heads[0], heads[1], heads[0], heads[3]])
    assert "maps" not in copied
    assert "subjects" in copied, "which says it already"
