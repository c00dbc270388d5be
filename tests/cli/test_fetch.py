"""``mritk fetch`` gets what a later run without network needs, and tells what it cannot get."""

from __future__ import annotations

import json

import pytest

PLUGIN = '''
"""Datasets and weights in every state."""
import hashlib
from pathlib import Path

import numpy as np
from mritk import (
    Architecture, Classification, DataError, Dataset, DatasetFamily, Samples, Unavailable, Weights,
    hookimpl,
)

HERE = Path(__file__).parent


def open_made(workspace):
    """Make what a run would need, and count how often."""
    made = workspace.folder("made") / "count"
    made.write_text(made.read_text() + "x" if made.exists() else "x")
    ids = [f"s{i}" for i in range(6)]
    return Samples(ids, np.arange(6) % 2, Classification(("a", "b")), None, patients=ids[:3] * 2)


def is_made(workspace):
    return (workspace.home / "made" / "count").exists()


def cannot_be_made(workspace):
    raise Unavailable("its generator is not installed")


def open_absent(workspace):
    raise Unavailable("no data here (offline mode)" if workspace.offline else "no data anywhere")


def open_broken(workspace):
    raise DataError("row 3 is broken")


def resolve(member):
    raise Unavailable(f"no folder {member}")


def locate(workspace):
    return HERE / "net.bin"


def locate_absent(workspace):
    raise Unavailable("no net.bin; get it from https://example.org")


@hookimpl
def mritk_datasets():
    yield Dataset("made", open_made)
    yield Dataset("generated", open_made, is_generated=is_made)
    yield Dataset("not_here", open_made, is_generated=cannot_be_made)
    yield Dataset("absent", open_absent)
    yield Dataset("broken", open_broken)
    yield DatasetFamily("place", resolve)


@hookimpl
def mritk_backbones():
    yield Architecture("net", None)
    yield Weights("net", "right", locate, sha256=hashlib.sha256(b"weights").hexdigest())
    yield Weights("net", "unproven", locate)
    yield Weights("net", "wrong", locate, sha256="0" * 64)
    yield Weights("net", "absent", locate_absent)
    yield Weights("net", "absent_too", locate_absent)
'''


@pytest.fixture
def fetch(mritk, tmp_path):
    (tmp_path / "net.bin").write_bytes(b"weights")
    (tmp_path / "states.py").write_text(PLUGIN)

    def fetch(*arguments):
        return mritk("fetch", "-p", tmp_path / "states.py", *arguments)

    return fetch


def rows(ended):
    return {row["name"]: row for row in json.loads(ended.out)}


def test_datasets_are_opened_and_weights_located(fetch, own_home, tmp_path):
    ended = fetch("-d", "made", "-b", "net@right", "--backbone", "net@scratch", "--json")
    assert ended.code == 0, ended.err
    found = rows(ended)
    assert [row["state"] for row in found.values()] == ["ready"] * 3
    assert found["made"]["where"] == "6 samples of 3 patients"
    assert found["net@right"]["where"] == f"{tmp_path / 'net.bin'} (0.0 MB)"
    assert "no file" in found["net@scratch"]["where"]
    assert (own_home / "made" / "count").read_text() == "x"


def test_what_is_looked_for_only_is_not_generated(fetch, mritk, own_home, tmp_path):
    plugin = ("-p", tmp_path / "states.py")
    names = ("-d", "generated", "-d", "not_here", "--json")
    for ended in (
        fetch("--offline", *names),
        mritk("run", *plugin, *names, "-b", "net@scratch", "--check"),
    ):
        found = rows(ended)
        assert ended.code == 4
        assert found["generated"]["state"] == "ready"
        assert found["generated"]["where"] == "generated on this machine by the run"
        assert found["not_here"]["state"] == "unavailable"
        assert found["not_here"]["reason"] == "its generator is not installed"
    assert not (own_home / "made").exists()
    assert rows(fetch("-d", "generated", "--json"))["generated"]["where"][:9] == "6 samples"
    here = rows(fetch("--offline", "-d", "generated", "--json"))
    assert here["generated"]["where"] == "6 samples of 3 patients"


def test_the_table(fetch):
    ended = fetch("-d", "made", "-d", "absent", "-b", "net@unproven")
    assert ended.code == 4
    header, _, *lines = ended.out.splitlines()
    assert header.split() == ["name", "what", "where", "or", "size", "state"]
    assert [line.split()[0] for line in lines] == ["made", "absent", "net@unproven"]
    assert [line.split()[-1] for line in lines] == ["ready", "unavailable", "ready"]


def test_what_is_unavailable_is_explained_and_the_rest_is_fetched(fetch, own_home):
    ended = fetch("-d", "absent", "-d", "made", "-b", "net@absent", "-b", "net@right", "--json")
    assert ended.code == 4
    assert "unavailable: absent: no data anywhere" not in ended.out
    states = {name: row["state"] for name, row in rows(ended).items()}
    assert states == {
        "absent": "unavailable",
        "made": "ready",
        "net@absent": "unavailable",
        "net@right": "ready",
    }
    assert rows(ended)["net@absent"]["reason"] == "no net.bin; get it from https://example.org"
    assert (own_home / "made" / "count").exists()


def test_reasons_stand_on_stderr_beside_the_table(fetch):
    ended = fetch("-d", "absent")
    assert ended.code == 4
    assert "mritk: unavailable: absent: no data anywhere" in ended.err
    assert "Traceback" not in ended.err


def test_a_place_that_is_not_there_does_not_stop_the_others(fetch):
    ended = fetch("-d", "place:nowhere", "-d", "made", "--json")
    assert ended.code == 4
    assert rows(ended)["place:nowhere"]["reason"] == "no folder nowhere"
    assert rows(ended)["made"]["state"] == "ready"


def test_joined_datasets_are_told_apart(fetch):
    """Whoever lacks both need not ask twice."""
    ended = fetch("-d", "made+absent", "--json")
    assert ended.code == 4
    states = {name: row["state"] for name, row in rows(ended).items()}
    assert states == {"made": "ready", "absent": "unavailable"}


def test_one_reason_for_several_stands_there_once(fetch):
    ended = fetch("-b", "net@absent", "-b", "net@absent_too", "-b", "net@right")
    assert ended.code == 4
    reason = "no net.bin; get it from https://example.org"
    assert f"mritk: unavailable: net@absent, net@absent_too: {reason}\n" in ended.err
    assert ended.err.count(reason) == 1


def test_broken_data_and_wrong_weights_are_unusable(fetch):
    ended = fetch("-d", "broken", "--json")
    assert ended.code == 2
    assert rows(ended)["broken"]["state"] == "unusable"
    ended = fetch("-b", "net@wrong", "--json")
    assert ended.code == 3
    assert "another SHA-256 than 0000" in rows(ended)["net@wrong"]["reason"]
    assert fetch("-d", "broken", "-b", "net@wrong", "-b", "net@absent").code == 4


def test_a_name_that_nobody_knows_is_found_before_anything_is_fetched(fetch, own_home):
    ended = fetch("-d", "made", "-b", "nett@right")
    assert ended.code == 2
    assert "did you mean net@right" in ended.err
    assert not (own_home / "made").exists()


def test_a_name_given_twice_is_fetched_once(fetch, own_home):
    fetch("-d", "made", "-d", "made")
    assert (own_home / "made" / "count").read_text() == "x"


def test_offline_tells_what_is_missing(fetch):
    ended = fetch("-d", "absent", "--offline", "--json")
    assert ended.code == 4
    assert rows(ended)["absent"]["reason"] == "no data here (offline mode)"


def test_something_must_be_named(fetch):
    ended = fetch()
    assert ended.code == 2
    assert "-d DATASET" in ended.err


def test_weights_from_a_file_of_ones_own(fetch, tmp_path):
    ended = fetch("-b", f"net@file:{tmp_path / 'net.bin'}", "--json")
    assert ended.code == 0
    assert fetch("-b", "net@file:nowhere").code == 4
