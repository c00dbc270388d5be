"""The study of neuroblastoma on a small pooled set: from a table of scans to a table of scores."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from mritk.cards.trial_card import trial_card
from mritk.store.folder import ResultsFolder

ROWS, TESTED = 48, 24


@pytest.fixture
def pooled(tmp_path, blobs, monkeypatch):
    """A manifest: the training part is from home but for a third, the test part but for a sixth."""
    lines = ["path,label,patient,site,split"]
    for row in range(ROWS + TESTED):
        Image.fromarray(blobs.read(row)).save(tmp_path / f"{row}.png")
        tested = row >= ROWS
        site = "home" if (row // 2 % 6 == 0 if tested else row // 2 % 3) else "away"
        part = "test" if tested else "train"
        lines.append(f"{row}.png,{blobs.task.classes[blobs.targets[row]]},p{row},{site},{part}")
    (tmp_path / "neuroblastoma.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("pooled", "no_near_copies")
def test_the_study_runs_and_each_part_tells_its_share_of_outside_images(mritk, request, tmp_path):
    study = request.config.rootpath / "benchmarks" / "studies" / "neuroblastoma.toml"
    call = ("run", study, "--rehearse", "--vary", "image_size=32", "--device", "cpu")
    ended = mritk(*call, "-o", tmp_path / "results")
    assert ended.code == 0, ended.err
    board = json.loads(
        mritk("leaderboard", tmp_path / "results", "--rows", "protocol", "--json").out
    )
    (table,) = board["tables"]
    assert len(table["rows"]) == 3, "evolution, its control and gradients are rows of one table"
    (evolved,) = [
        trial
        for trial in ResultsFolder(tmp_path / "results").trials()
        if trial.protocol.startswith("neuroblastoma[")
    ]
    counts = evolved.provenance["sites"]
    assert sum(counts["train"].values()) + sum(counts["val"].values()) == ROWS
    assert counts["test"] == {"away": 20, "home": 4}
    told = evolved.notes["outside"]
    for part in ("train", "val"):
        away, whole = counts[part].get("away", 0), sum(counts[part].values())
        assert np.isclose(told[part], away / whole)
    assert "test away 83%, home 17%" in trial_card(evolved)
