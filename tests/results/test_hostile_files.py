"""A trial file shows what is in it, and nothing else; damaged bytes never reach HDF5."""

from __future__ import annotations

import random
import shutil
import subprocess

import h5py
import numpy as np
import pytest

from mritk.store.content import SEAL, Content
from mritk.store.raw_seal import seal_bytes, seal_holds
from mritk.store.trial_file import TrialReader, read_trial, write_trial
from mritk.store.trial_state import AlteredTrial, ForeignFile, TornTrial, UnusableTrial

SCORE = "predictions/test/score"


@pytest.fixture
def path(make_record, tmp_path):
    path = tmp_path / "one.h5"
    write_trial(make_record(), path)
    return path


# -- the seal of the bytes -------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_anybody_can_prove_a_file_without_mritk(path):
    command = "head -c -79 one.h5 | sha256sum; tail -c 79 one.h5"
    told = subprocess.check_output(["sh", "-c", command], cwd=path.parent, text=True).split()
    assert told[0] == told[-1]
    assert len(told[0]) == 64


def test_opening_a_file_for_writing_without_changing_it_keeps_the_seal(path):
    """As viewers do; one that is killed leaves a mark, which is no change."""
    before = path.read_bytes()
    with h5py.File(path, "r+"):
        assert path.read_bytes() != before
        assert read_trial(path).status == "finished"
    assert path.read_bytes() == before


def test_only_a_closed_file_of_the_earliest_kind_is_sealed(path, tmp_path):
    with h5py.File(tmp_path / "latest.h5", "w", libver="latest") as file:
        file["x"] = 1
    marked = bytearray(path.read_bytes())
    marked[20] = 1
    for content in (b"", b"text", (tmp_path / "latest.h5").read_bytes(), bytes(marked)):
        assert seal_holds(content) in (None, True)
        with pytest.raises(ValueError, match="outer seal"):
            seal_bytes(content)


def lose_a_block(path):
    """Lose 512 bytes within a heap of texts; HDF5 then looks for its next object for ever."""
    content = bytearray(path.read_bytes())
    inside = content.find(b"GCOL") + 16
    content[inside : inside + 512] = bytes(512)
    path.write_bytes(content)


def test_a_lost_block_is_noticed_before_hdf5_sees_the_file(path):
    lose_a_block(path)
    with pytest.raises(AlteredTrial):
        read_trial(path)


@pytest.mark.slow
def test_a_file_of_an_earlier_schema_that_hangs_hdf5_is_torn_and_the_next_one_is_read(
    path, as_schema, tmp_path
):
    as_schema(path, 3)
    torn = tmp_path / "torn.h5"
    torn.write_bytes(path.read_bytes())
    lose_a_block(torn)
    with TrialReader(seconds=0.5) as reader:
        with pytest.raises(TornTrial, match="it hangs the HDF5 library"):
            reader.read(torn)
        assert reader.read(path).record.status == "finished"


@pytest.mark.slow
def test_no_damage_is_accepted_hangs_or_crashes(path, mutated):
    """2,000 flipped bits, lost, swapped, missing and added blocks."""
    whole, draw = path.read_bytes(), random.Random(0)
    with TrialReader(seconds=5) as reader:
        for number in range(2000):
            content = mutated(whole, number % 5, draw)
            if content == whole:  # such as a block of zeros that was lost
                continue
            path.write_bytes(content)
            with pytest.raises(UnusableTrial) as raised:
                reader.read(path)
            assert "hangs the HDF5 library" not in str(raised.value), f"mutation {number} hangs"
            assert "crashes" not in str(raised.value), f"mutation {number} crashes"


# -- what stands elsewhere -------------------------------------------------------------------------


@pytest.fixture
def secret(tmp_path):
    """A file that the trial file has no business with."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["score"] = np.eye(4, 2, dtype=np.float32)[::-1]
    (tmp_path / "secret.txt").write_bytes(b"password" * 4)
    return tmp_path


def external_link(file, secret):
    del file[SCORE]
    file[SCORE] = h5py.ExternalLink(str(secret / "secret.h5"), "score")


def soft_link(file, secret):
    del file[SCORE]
    file[SCORE] = h5py.SoftLink("/predictions/val/score")


def second_name(file, secret):
    del file[SCORE]
    file[SCORE] = file["predictions/val/score"]


def raw_storage(file, secret):
    del file[SCORE]
    elsewhere = [(str(secret / "secret.txt"), 0, 32)]
    file.create_dataset(SCORE, (4, 2), np.float32, external=elsewhere)


def virtual_dataset(file, secret):
    layout = h5py.VirtualLayout((4, 2), np.float32)
    layout[:] = h5py.VirtualSource(secret / "secret.h5", "score", (4, 2))
    del file[SCORE]
    file.create_virtual_dataset(SCORE, layout)


def huge(file, secret):
    del file[SCORE]
    file.create_dataset(SCORE, (2**40,), np.float32, chunks=(2**20,))


def a_circle(file, secret):
    file["predictions/circle"] = file["predictions"]


def a_circle_through_the_root(file, secret):
    file["predictions/root"] = file["/"]


def a_type_with_a_name(file, secret):
    file["type"] = np.dtype("f8")


REACHES = [
    external_link,
    soft_link,
    second_name,
    raw_storage,
    virtual_dataset,
    huge,
    a_circle,
    a_circle_through_the_root,
    a_type_with_a_name,
]


@pytest.mark.parametrize("reach", REACHES)
def test_a_file_that_reaches_outside_itself_is_refused(path, secret, reach):
    """Sealed as it should be, by whoever means harm: a seal is no signature."""
    with h5py.File(path, "r+") as file:
        reach(file, secret)
        file.attrs[SEAL] = "0" * 64
    path.write_bytes(seal_bytes(path.read_bytes()))
    with pytest.raises(ForeignFile, match="not a trial file written by mritk"):
        read_trial(path)


@pytest.mark.slow
def test_a_file_of_an_earlier_schema_may_not_either(path, secret, as_schema):
    as_schema(path, 2, lambda file: external_link(file, secret))
    with pytest.raises(ForeignFile, match="not a trial file written by mritk"):
        read_trial(path)


def test_the_digest_of_a_file_follows_nothing_either(path, secret):
    with h5py.File(path, "r+") as file:
        external_link(file, secret)
        with pytest.raises(ValueError, match="external link"):
            Content(file).digest()
