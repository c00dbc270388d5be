"""A sample is known by the array that it is read as, and proven when it is read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mritk import DataError, Samples, Segmentation
from mritk.data.samples import UnreadableSamples
from mritk.images.decode import decoded
from mritk.images.identified import SampleChanged, array_digests, identified


def test_a_declared_digest_saves_reading_and_changes_no_identity(make_samples):
    """What a file is called by its dataset tells nothing of what it is read as."""
    plain = make_samples(6)
    filed = replace(plain, digest=lambda row: f"{row:064x}")
    known = identified(filed, *array_digests(filed))
    assert known.contents == plain.contents
    assert known.fingerprint == plain.fingerprint


def test_other_pixels_of_the_same_files_are_another_dataset(make_samples):
    filed = replace(make_samples(6), digest=lambda row: f"{row:064x}")
    fixed = replace(filed, read=lambda row: filed.read(row) // 2)
    one, other = (identified(samples, *array_digests(samples)) for samples in (filed, fixed))
    assert filed.fingerprint == fixed.fingerprint, "the files are the same"
    assert one.fingerprint != other.fingerprint


def test_what_cannot_be_read_keeps_its_reason(make_samples):
    samples = make_samples(6)

    def read(row):
        if row == 2:
            raise OSError("truncated\nfile")
        return samples.read(row) if row != 4 else np.asarray([object()])

    broken = replace(samples, read=read)
    known = identified(broken, *array_digests(broken))
    with pytest.raises(UnreadableSamples, match=r"s002 \(truncated file\); s004 \(contains Python"):
        _ = known.contents
    assert known.only([0, 1, 3, 5]).contents == samples.only([0, 1, 3, 5]).contents


def test_a_file_that_is_written_to_in_the_middle_of_a_run_is_refused(make_samples, workspace):
    """It would be decoded under the identity of another picture."""
    samples = make_samples(6)
    written = set()

    def read(row):
        return samples.read(row) ^ np.uint8(row in written)

    known = identified(replace(samples, read=read), *array_digests(samples))
    assert np.array_equal(known.read(3), samples.read(3))
    written.add(3)
    with pytest.raises(SampleChanged, match="s003 gave a different array than before"):
        known.read(3)
    with pytest.raises(DataError, match="stop other writers") as caught:
        decoded(known, 4, "bilinear", workspace)
    assert not isinstance(caught.value, UnreadableSamples), "it must not be skipped"
    assert list(workspace.folder("decoded").iterdir()) == []


def test_a_label_map_that_changes_within_a_run_is_noticed():
    maps = np.zeros((1, 2, 2), np.uint8)
    samples = Samples(
        ids=["a"],
        targets=np.zeros(0),
        task=Segmentation(("background", "tumour")),
        read=lambda i: np.zeros((2, 2), np.uint8),
        read_target=lambda i: maps[i].copy(),
    )
    known = identified(samples, *array_digests(samples))
    known.read_target(0)
    maps[0, 0] = 1
    with pytest.raises(SampleChanged, match="the label map of a gave a different array"):
        known.read_target(0)
