"""Entries of caches: whole, proven, made anew where they are not."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest

import mritk.files.kept as kept_module
from mritk.errors import StoreError
from mritk.files.kept import CHUNK, find, keep, kept, key_of

VALUES = np.random.default_rng(0).integers(0, 256, (1000, 64), dtype=np.uint8)
WHAT = "things"


class Making:
    """Make one entry, and count how often that was asked for."""

    def __init__(self, values=VALUES):
        self.values, self.calls = values, 0

    def __call__(self, draft):
        self.calls += 1
        draft.save("values", self.values)
        return {"note": "x", "shape": None, "rate": 0.1}


def test_an_entry_is_made_once_with_its_facts(tmp_path):
    make = Making()
    for _ in range(2):
        entry = kept(tmp_path, ["identity", 1], make, WHAT)
        assert np.array_equal(entry.arrays["values"], VALUES)
        assert entry.facts == {"note": "x", "shape": None, "rate": 0.1}
    kept(tmp_path, ["identity", 2], make, WHAT)
    assert make.calls == 2


def test_an_array_without_elements_is_kept_as_well(tmp_path):
    """It cannot be mapped into memory."""
    make = Making(np.zeros((3, 0, 0), np.uint8))
    for _ in range(2):
        assert kept(tmp_path, 1, make, WHAT).arrays["values"].shape == (3, 0, 0)
    assert make.calls == 1


def test_an_array_may_be_filled_on_disk(tmp_path):
    def make(draft):
        array = draft.array("values", VALUES.shape, VALUES.dtype)
        for row, value in enumerate(VALUES):
            array[row] = value
        return {}

    assert np.array_equal(kept(tmp_path, 1, make, WHAT).arrays["values"], VALUES)


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 7, 200, CHUNK - 1, CHUNK, CHUNK + 5, -1])
def test_one_bit_anywhere_is_noticed(tmp_path, place, caplog):
    """Also behind the first of the chunks that have a checksum each, and in the header."""
    values = np.resize(VALUES, CHUNK + 10_000)
    make = Making(values)
    kept(tmp_path, 1, make, WHAT)
    (path,) = tmp_path.rglob("values.npy")
    with path.open("r+b") as stream:
        stream.seek(place, 2 if place < 0 else 0)
        (byte,) = stream.read(1)
        stream.seek(place, 2 if place < 0 else 0)
        stream.write(bytes([byte ^ 4]))
    assert np.array_equal(kept(tmp_path, 1, make, WHAT).arrays["values"], values)
    assert make.calls == 2
    assert f"things in {path.parent} are damaged and will be recreated" in caplog.text


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "{}", '{"crc32": null}', '{"arrays": {}, "facts": {}}']
)
def test_facts_that_are_no_facts_are_made_anew(tmp_path, text):
    make = Making()
    kept(tmp_path, 1, make, WHAT)
    (path,) = tmp_path.rglob("facts.json")
    path.write_text(text)
    assert kept(tmp_path, 1, make, WHAT).facts["note"] == "x"
    assert make.calls == 2


@pytest.mark.parametrize(
    ("old", "new"), [("0.1", "0.2"), ('"x"', '"y"'), ("64000", "64001"), ("null", "1")]
)
def test_a_fact_that_was_changed_is_noticed(tmp_path, old, new):
    make = Making()
    kept(tmp_path, 1, make, WHAT)
    (path,) = tmp_path.rglob("facts.json")
    text = path.read_text()
    path.write_text(text.replace(old, new) if old in text else text.replace("64128", "64129"))
    assert kept(tmp_path, 1, make, WHAT).facts == {"note": "x", "shape": None, "rate": 0.1}
    assert make.calls == 2


def test_an_entry_is_read_once_per_process(tmp_path, monkeypatch):
    """Later openings believe what was proven, unless the file was written to."""
    make, read = Making(), []
    checksums = kept_module._checksums
    monkeypatch.setattr(
        kept_module, "_checksums", lambda path, size: read.append(path) or checksums(path, size)
    )
    for _ in range(5):
        kept(tmp_path, 1, make, WHAT)
    assert len(read) == 2, "when it was written, and when it was first opened"


def test_what_does_not_fit_on_the_disk_is_refused_before_anything_is_written(tmp_path):
    """An image_size of 200000 is a slip of the pen."""

    def make(draft):
        draft.array("values", (3264, 200_000, 200_000), np.dtype(np.float32))

    with pytest.raises(
        StoreError, match=r"not enough space for 522240.0 GB of things in .* free; free sp"
    ):
        kept(tmp_path, 1, make, WHAT)
    assert list(tmp_path.iterdir()) == []


def test_writers_at_the_same_time_agree_where_there_are_no_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_module, "locked", lambda *_: nullcontext())
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: kept(tmp_path, 1, Making(), WHAT), range(8)))
    assert all(np.array_equal(entry.arrays["values"], VALUES) for entry in found)
    assert len(list(tmp_path.iterdir())) == 1


def test_of_those_who_ask_at_the_same_time_one_makes_it_and_the_others_wait(tmp_path):
    make = Making()

    def slow(draft):
        time.sleep(0.1)  # all the others have asked by then
        return make(draft)

    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda _: kept(tmp_path, 1, slow, WHAT), range(8)))
    assert make.calls == 1
    assert all(np.array_equal(entry.arrays["values"], VALUES) for entry in entries)
    assert [path.name for path in tmp_path.iterdir()] == [key_of(1)], "no lock is left"


def test_a_machine_copies_an_entry_to_its_own_disk_once(tmp_path):
    """From the disk that machines share, where another one has made it; here it is mapped."""
    make, far, near = Making(), tmp_path / "far", tmp_path / "near"
    kept(far, 1, make, WHAT)
    for _ in range(2):
        entry = kept(far, 1, make, WHAT, near)
        assert np.array_equal(entry.arrays["values"], VALUES)
        assert entry.facts == {"note": "x", "shape": None, "rate": 0.1}
        assert near in entry.arrays["values"].filename.parents
    assert make.calls == 1
    for name in ("facts.json", "values.npy"):
        copies = [(place / key_of(1) / name).read_bytes() for place in (far, near)]
        assert copies[0] == copies[1]


def test_what_no_machine_has_made_is_made_on_its_own_disk_alone(tmp_path):
    make, far, near = Making(), tmp_path / "far", tmp_path / "near"
    for _ in range(2):
        kept(far, 1, make, WHAT, near)
    assert make.calls == 1
    assert not far.exists()
    assert find(near / key_of(1), WHAT) is not None


def test_a_damaged_entry_is_not_copied(tmp_path, caplog):
    make, far, near = Making(), tmp_path / "far", tmp_path / "near"
    kept(far, 1, make, WHAT)
    (far / key_of(1) / "values.npy").write_bytes(b"damaged")
    assert np.array_equal(kept(far, 1, make, WHAT, near).arrays["values"], VALUES)
    assert make.calls == 2
    assert "are damaged" in caplog.text


def test_an_error_of_the_maker_is_the_makers(tmp_path):
    """Not every OSError is a full disk."""

    def make(draft):
        raise OSError("no such weights")

    with pytest.raises(OSError, match="no such weights"):
        kept(tmp_path, 1, make, WHAT)
    assert list(tmp_path.iterdir()) == []


def test_facts_are_plain_to_read(tmp_path):
    kept(tmp_path, 1, Making(), WHAT)
    (path,) = tmp_path.rglob("facts.json")
    assert json.loads(path.read_text())["facts"]["note"] == "x"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["values.npy", "facts.json"])
def test_no_damage_is_accepted(tmp_path, name, mutated):
    """1,000 damaged states of each file: none is taken for the entry, and none raises."""
    place = tmp_path / "entry"
    keep(place, Making(np.arange(3000, dtype=np.float32)), WHAT)
    path, draw = place / name, random.Random(0)
    whole, facts = path.read_bytes(), find(place, WHAT).facts
    for number in range(1000):
        content = mutated(whole, number % 5, draw)
        path.write_bytes(content)
        kept_module._is_sound.cache_clear()  # clocks of file systems are coarse
        found = find(place, WHAT)
        if content == whole:  # such as a block that was swapped with itself
            assert found.facts == facts
        else:
            assert found is None, f"mutation {number}"
