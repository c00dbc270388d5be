"""``derived``: values of a whole dataset, computed once, kept on disk, handed out part by part."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest

from mritk import MritkError, Subset, Workspace
from mritk.errors import StoreError
from mritk.images.derived import derived, kept

KEY = {"what": "means", "size": 4}


class Means:
    """Compute the mean of each image, and count how often that was asked for."""

    def __init__(self, facts=None):
        self.calls, self.facts = 0, facts or {"note": "mean", "seconds": 0.5}

    def __call__(self, pixels):
        self.calls += 1
        images = pixels(None, "bilinear")
        return images.reshape(len(images), -1).mean(1, keepdims=True), self.facts


def expected(samples):
    return np.array([[samples.read(i).mean()] for i in range(len(samples))])


def folders(workspace):
    return sorted(workspace.folder("features").iterdir())


def test_values_are_computed_once_and_mapped_from_disk(make_samples, workspace):
    compute, samples = Means(), make_samples(6)
    first = derived(samples, KEY, compute, workspace)
    again = derived(samples, KEY, compute, workspace)
    assert compute.calls == 1
    assert isinstance(again.values, np.memmap)
    assert first.facts == again.facts == {"note": "mean", "seconds": 0.5}
    np.testing.assert_array_equal(again.values, expected(samples))
    with pytest.raises(ValueError, match="read-only"):
        again.values[0] = 1


def test_another_key_or_other_content_is_another_computation(make_samples, workspace):
    compute = Means()
    derived(make_samples(6), KEY, compute, workspace)
    derived(make_samples(6), {**KEY, "size": 5}, compute, workspace)
    longer = derived(make_samples(8), KEY, compute, workspace)
    assert compute.calls == 3
    assert len(longer.values) == 8
    derived(make_samples(6), dict(reversed(KEY.items())), compute, workspace)
    assert compute.calls == 3, "the order of a key's entries means nothing"


def test_labels_play_no_part(make_samples, workspace):
    """Relabelled data have the same features."""
    compute = Means()
    derived(make_samples(6, classes=2), KEY, compute, workspace)
    derived(make_samples(6, classes=3), KEY, compute, workspace)
    assert compute.calls == 1


@pytest.mark.parametrize("file", ["values.npy", "facts.json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "nonsense"])
def test_what_is_damaged_is_made_anew(make_samples, workspace, file, damage):
    compute, samples = Means(), make_samples(6)
    derived(samples, KEY, compute, workspace)
    (folder,) = folders(workspace)
    path = folder / file
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        damaged = {"cut": content[:-3], "empty": b"", "nonsense": b"\xff\x00" * 40}[damage]
        path.unlink()
        path.write_bytes(damaged)
    again = derived(samples, KEY, compute, workspace)
    assert compute.calls == 2
    np.testing.assert_array_equal(again.values, expected(samples))
    assert folders(workspace) == [folder]


def test_facts_of_other_values_are_not_believed(make_samples, workspace):
    compute, samples = Means(), make_samples(6)
    derived(samples, KEY, compute, workspace)
    facts = folders(workspace)[0] / "facts.json"
    noted = json.loads(facts.read_text())
    facts.write_text(json.dumps({**noted, "facts": {"note": "median"}}))
    derived(samples, KEY, compute, workspace)
    assert compute.calls == 2


def test_a_file_in_the_place_of_the_folder_is_replaced(make_samples, workspace):
    compute, samples = Means(), make_samples(6)
    derived(samples, KEY, compute, workspace)
    (folder,) = folders(workspace)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_text("not a folder")
    np.testing.assert_array_equal(
        derived(samples, KEY, compute, workspace).values, expected(samples)
    )
    assert folders(workspace) == [folder]


def test_a_computation_that_fails_leaves_nothing_behind(make_samples, workspace):
    def interrupted(pixels):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        derived(make_samples(6), KEY, interrupted, workspace)
    assert folders(workspace) == []


@pytest.fixture
def without_locks(monkeypatch):
    """Some file systems have none; elsewhere the second writer waits for the first."""
    monkeypatch.setattr("mritk.files.kept.locked", lambda *_: nullcontext())


@pytest.mark.usefixtures("without_locks")
def test_the_first_of_two_writers_wins_and_the_other_reads_it(make_samples, workspace):
    samples = make_samples(6)

    def slow(pixels):
        derived(samples, KEY, Means({"by": "the fast one"}), workspace)
        return Means({"by": "the slow one"})(pixels)

    assert derived(samples, KEY, slow, workspace).facts == {"by": "the fast one"}
    assert len(folders(workspace)) == 1


@pytest.mark.usefixtures("without_locks")
def test_writers_at_the_same_time_agree(workspace):
    """Each finds nothing, all compute, all write: one array stays, with its own facts."""
    barrier = threading.Barrier(4)

    def make(number):
        barrier.wait(30)
        return np.full((1000, 64), float(number)), {"number": number}

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: kept("race", lambda: make(n), workspace), range(4)))
    (number,) = {one.facts["number"] for one in found}
    for one in found:
        np.testing.assert_array_equal(one.values, float(number))
    assert len(folders(workspace)) == 1


def test_a_row_too_few_is_refused(make_samples, workspace):
    with pytest.raises(MritkError, match="5 rows were derived from 6 samples"):
        derived(make_samples(6), KEY, lambda pixels: (np.zeros((5, 2)), {}), workspace)
    assert folders(workspace) == []


def test_values_that_cannot_be_stored_are_an_error_in_one_line(workspace, monkeypatch):
    def no_room(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", no_room)
    with pytest.raises(
        StoreError, match=r"8 MB .* No space left on device; free some space, or set"
    ):
        kept("x", lambda: (np.zeros(1_000_000), {}), workspace)
    assert folders(workspace) == []


def test_a_part_gets_its_own_rows_in_its_order(make_samples, workspace):
    samples, compute = make_samples(6), Means()
    part = Subset.of(samples, [4, 1], workspace).derive(KEY, compute)
    np.testing.assert_array_equal(part.values, expected(samples)[[4, 1]])
    Subset.of(samples, [0], workspace).derive(KEY, compute)
    assert compute.calls == 1, "all parts share one computation"
    assert len(Subset.of(samples, [], workspace).derive(KEY, compute).values) == 0


def test_the_rows_of_other_parts_cannot_be_reached_from_a_part(make_samples, workspace):
    values = Subset.of(make_samples(6), [0], workspace).derive(KEY, Means()).values
    reachable = values
    while getattr(reachable, "base", None) is not None:
        reachable = reachable.base
        assert getattr(reachable, "nbytes", 0) <= values.nbytes
    values[:] = 0
    again = Subset.of(make_samples(6), [0], workspace).derive(KEY, Means()).values
    assert again[0, 0] != 0, "what a method does to its rows stays with it"


def test_cache_list_and_clear_know_the_folder(make_samples, own_home, mritk):
    derived(make_samples(6), KEY, Means(), Workspace.from_environment())
    listed = {row["name"]: row for row in json.loads(mritk("cache", "list", "--json").out)}
    assert listed["features"]["files"] == 2
    assert mritk("cache", "clear", "features", "--yes").code == 0
    assert not (own_home / "features").exists()
