"""A method may note what it likes, also by names that mritk's own methods use."""

from __future__ import annotations

import pytest

from mritk.store.folder import ResultsFolder
from mritk.store.kept_model import kept_digest

NAMES = ("parameters", "weights", "selected_epoch", "input_size", "model", "never_selected")


@pytest.mark.parametrize("value", ["many", {"sha256": 7}, ["a", 1], True, -3, 0.5, None])
def test_commands_take_no_note_for_what_it_is_not(make_record, mritk, tmp_path, value):
    folder = ResultsFolder(tmp_path)
    folder.write(make_record(id="plain"))
    folder.write(make_record(id="odd", seed=1, notes=dict.fromkeys(NAMES, value)))
    ended = mritk("leaderboard", tmp_path)
    assert ended.code == 0, ended.err
    for command in ("show", "card"):
        ended = mritk(command, "odd", "--results", tmp_path)
        assert ended.code == 0, ended.err
    refused = mritk("explain", "odd", "--results", tmp_path)
    assert "has no stored model" in refused.err


@pytest.mark.parametrize(
    ("noted", "digest"), [({"sha256": "abc"}, "abc"), ({"sha256": 7}, ""), ("abc", ""), (None, "")]
)
def test_the_digest_of_a_network_is_a_text(make_record, noted, digest):
    assert kept_digest(make_record(notes={"model": noted})) == digest
