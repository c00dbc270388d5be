"""Signatures are made once, and never of something else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from mritk.audit.image_index import image_index
from mritk.data.samples import array_digest
from mritk.errors import StoreError
from mritk.files.kept import keep


@pytest.fixture
def counted(heads, as_samples):
    """Samples with digests, and the rows that were read so far."""
    rows = []

    def read(i):
        rows.append(i)
        return heads[i]

    return replace(as_samples(heads), read=read, digest=lambda i: f"digest-{i}"), rows


def test_a_second_look_reads_nothing(counted, workspace):
    samples, rows = counted
    first = image_index(samples, workspace)
    assert sorted(rows) == list(range(12))
    second = image_index(samples, workspace)
    assert len(rows) == 12
    assert second.pixels == first.pixels
    assert second.key == first.key
    assert np.array_equal(second.whole, first.whole)


def test_the_share_that_is_no_number_is_kept(counted, workspace):
    samples, rows = counted
    known = replace(samples, holes=lambda i: i / 100)
    assert image_index(known, workspace).holes == tuple(i / 100 for i in range(12))
    assert image_index(samples, workspace).holes[5] == 0.05
    assert len(rows) == 12


def test_an_index_that_was_kept_before_shares_were_is_still_used(counted, workspace, monkeypatch):
    samples, rows = counted

    def keep_less(folder, fill, what):
        keep(folder, lambda draft: {n: v for n, v in fill(draft).items() if n != "holes"}, what)

    with monkeypatch.context() as before:
        before.setattr("mritk.audit.image_index.keep", keep_less)
        image_index(samples, workspace)
    assert image_index(samples, workspace).holes == (0.0,) * 12
    assert len(rows) == 12


@pytest.mark.parametrize("change", ["content", "reader"])
def test_another_content_or_reader_is_looked_at_anew(counted, workspace, change):
    samples, rows = counted
    image_index(samples, workspace)
    if change == "content":
        changed = replace(samples, digest=lambda i: f"digest-{i}" if i else "edited")
        image_index(changed, workspace)
    else:
        image_index(samples, workspace, ("another reader",))
    assert len(rows) == 24


def test_samples_without_digests_are_read_for_their_content(heads, as_samples, workspace):
    index = image_index(as_samples(heads), workspace)
    assert len(set(index.contents)) == len(heads)


def test_arrays_are_told_apart_as_read_and_pixels_as_shown(heads, as_samples, workspace):
    grey = heads[0]
    same, colour = np.dstack([grey] * 3), np.dstack([grey, grey, grey[::-1]])
    images = [grey, same, colour, np.asfortranarray(grey)]
    index = image_index(as_samples(images), workspace)
    assert index.arrays == tuple(array_digest(image) for image in images)
    assert index.pixels == tuple(array_digest(image) for image in (grey, grey, colour, grey))


def test_what_cannot_be_read_is_remembered_with_its_reason(heads, as_samples, workspace):
    def read(i):
        if i == 3:
            raise OSError("truncated\nfile")
        return heads[i] if i != 5 else np.full((4, 4), np.nan)

    samples = replace(as_samples(heads), read=read, digest=str)
    index = image_index(samples, workspace)
    assert index.unreadable == {3: "truncated file", 5: "contains NaN or infinite values"}
    assert index.pixels[3] == ""
    assert not index.constant.any()


def test_a_file_without_a_digest_is_unreadable_and_looked_at_again_once_mended(
    heads, as_samples, workspace
):
    def absent(i):
        if i == 2:
            raise FileNotFoundError("no such file")
        return str(i)

    broken = replace(as_samples(heads), digest=absent)
    assert image_index(broken, workspace).unreadable == {2: "no such file"}
    assert image_index(replace(broken, digest=str), workspace).unreadable == {}


def test_what_failed_once_is_tried_again_and_nothing_else(counted, workspace):
    samples, rows = counted
    read = samples.read

    def fail(i):
        if i == 4:
            raise OSError("nibabel is not installed")
        return read(i)

    broken = replace(samples, read=fail)
    assert image_index(broken, workspace).unreadable == {4: "nibabel is not installed"}
    assert len(rows) == 11
    assert image_index(broken, workspace).unreadable == {4: "nibabel is not installed"}
    assert len(rows) == 11, "the others are known"
    assert image_index(samples, workspace).unreadable == {}


def test_a_file_that_changes_while_it_is_read_is_not_kept(counted, workspace):
    samples, _ = counted
    calls = []

    def digest(i):
        calls.append(i)
        return f"{i}, later" if i == 7 and len(calls) > 12 else str(i)

    image_index(replace(samples, digest=digest), workspace)
    assert list((workspace.home / "audit").iterdir()) == []


@pytest.mark.parametrize("file", ["facts.json", "whole.npy", "content.npy"])
@pytest.mark.parametrize("damage", ["cut", "gone", "empty", "zeros"])
def test_a_damaged_book_is_made_anew(counted, workspace, file, damage):
    samples, rows = counted
    first = image_index(samples, workspace)
    (folder,) = (workspace.home / "audit").iterdir()
    if damage == "gone":
        (folder / file).unlink()
    else:
        whole = (folder / file).read_bytes()
        left = {"cut": len(whole) // 2, "empty": 0, "zeros": 200 if file != "facts.json" else 0}
        zeros = len(whole) - left[damage] if damage == "zeros" else 0
        (folder / file).write_bytes(whole[: left[damage]] + bytes(zeros))
    again = image_index(samples, workspace)
    assert len(rows) == 24
    assert again.pixels == first.pixels
    assert np.array_equal(again.whole, first.whole)


@pytest.mark.slow
def test_several_processes_may_make_one_book(heads, as_samples, workspace):
    with ThreadPoolExecutor(8) as pool:
        indexes = list(
            pool.map(
                lambda _: image_index(replace(as_samples(heads), digest=str), workspace), range(16)
            )
        )
    assert len({index.pixels for index in indexes}) == 1
    assert all(np.array_equal(index.whole, indexes[0].whole) for index in indexes)
    assert len(list((workspace.home / "audit").iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_explained(counted, workspace, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", refuse)
    with pytest.raises(StoreError, match=r"cannot store .* of the audit .* set MRITK_HOME"):
        image_index(counted[0], workspace)


def test_a_half_written_book_is_never_used(counted, workspace):
    samples, _ = counted
    stop = RuntimeError("the machine went down")

    def progress(what, share):
        if share > 0.5:
            raise stop

    with pytest.raises(RuntimeError, match="went down"):
        image_index(samples, workspace, progress=progress)
    assert list((workspace.home / "audit").iterdir()) == []
    assert len(image_index(samples, workspace).pixels) == 12


def test_constant_images_are_marked(heads, as_samples, workspace):
    index = image_index(as_samples([heads[0], np.full((9, 9), 3, np.uint8)]), workspace)
    assert index.constant.tolist() == [False, True]
