"""A trial that is not there: the command that the message names lists those that are."""

from __future__ import annotations

import json
import shlex

import pytest

from mritk.store.folder import ResultsFolder


@pytest.mark.slow
def test_the_command_that_the_message_names_tells_the_id_of_every_trial(
    mritk, make_record, tmp_path
):
    folder = ResultsFolder(tmp_path / "my results")
    for seed, name in enumerate(("zeta", "alpha")):
        folder.write(make_record(id=name, seed=seed))
    folder.write(make_record(id="beta", seed=2, status="failed"))
    folder.write(make_record(id="gamma", backbone="other@scratch"))
    told = mritk("rerun", "nosuch", "-o", folder.path).err
    command = shlex.split(told.rstrip().partition("to list trials: mritk ")[2])
    rows = json.loads(mritk(*command).out)["tables"][0]["rows"]
    assert {row["backbone"]: row["ids"] for row in rows} == {
        "tiny@scratch": ["zeta", "alpha", "beta"],  # as its seeds, then those that failed
        "other@scratch": ["gamma"],
    }
    assert {id_ for row in rows for id_ in row["ids"]} == {
        path.stem for path in folder.trial_files()
    }
    mixed = mritk(*command, "--ensemble", "seeds").out
    assert [row["ids"] for row in json.loads(mixed)["tables"][0]["rows"] if row["ensemble"]] == [[]]
