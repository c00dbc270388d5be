"""A folder with several tables, the files that are read of it, and its tables as text."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mritk.results import trial_index
from mritk.results.analysis import Analysis
from mritk.results.formats import as_data, format_leaderboard
from mritk.results.leaderboard import build_leaderboard
from mritk.results.trial_index import TrialIndex
from mritk.store import folder as folder_module
from mritk.store import index_file
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import TrialReader

MEANS = Analysis(interval="none")
QUICK = Analysis(resamples=100)
VERDICT = {"copies": "drop", "clean": 3, "test": 4, "dropped": 1, "unused": 0, "clusters": 1}
VERDICT |= {"shared_with_validation": 0, "audited": True, "findings": [], "split": "5" * 64}
VERDICT |= {"samples_in_clusters": 2, "pretraining": ["radimagenet"]}


def slow(*cases):
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        for case in cases
    ]


# A protocol that divides the samples otherwise, so that its trials have a table of their own.
OTHER = {"fingerprint": "5" * 64, "protocol_json": '{"split":{"seed":1}}'}


@pytest.fixture(scope="module")
def written(make_record, tmp_path_factory):
    """Two rows of three trials each, of which one failed; another dataset, another protocol."""
    folder = ResultsFolder(tmp_path_factory.mktemp("written") / "results")
    rng = np.random.default_rng(0)
    for seed in range(3):
        for backbone in ("one@scratch", "two@scratch"):
            record = make_record(id=f"{backbone[:3]}{seed}", backbone=backbone, seed=seed)
            for part in record.predictions.values():
                part.score = rng.normal(size=part.score.shape).astype(np.float32)
            record.predictions["test"].clean = np.asarray([True, True, True, seed > 0])
            record.audit = VERDICT
            folder.write(record)
    folder.write(make_record(id="two9", backbone="two@scratch", seed=9, status="failed"))
    folder.write(make_record(id="other", dataset="rings", patients=False, cost={}))
    folder.write(make_record(id="slow", protocol="slow", **OTHER, notes={"parameters": 7}))
    return folder.path


@pytest.fixture
def folder(written, tmp_path):
    """A copy of these trials, which a test may change."""
    folder = ResultsFolder(shutil.copytree(written, tmp_path / "results"))
    copied = max(path.stat().st_ctime_ns for path in folder.trial_files())
    while index_file.time_of(tmp_path) <= copied:  # clocks of file systems tick slowly
        pass
    return folder


@pytest.fixture
def reads(monkeypatch):
    """The names of the trial files that are read from here on."""
    names, real = [], TrialReader.read

    def read(self, path):
        names.append(path.stem)
        return real(self, path)

    monkeypatch.setattr(TrialReader, "read", read)
    return names


def board_of(folder, analysis=MEANS, metrics=(), **options):
    with TrialIndex(folder, analysis, metrics) as index:
        return build_leaderboard(
            index.trials(), analysis=analysis, metrics=metrics, kept=index, **options
        )


def text(board):
    """All that a table shows and rests on."""
    compared = {
        k: [repr(c) for c in found] for t in board.tables for k, found in t.comparisons.items()
    }
    return json.dumps([as_data(board), format_leaderboard(board, "github"), compared], default=str)


def damage(folder, trial_id, monkeypatch):
    """Change a byte as a failing disk does: nobody wrote, so the stamp of the file is the same."""
    path = folder.trial_path(trial_id)
    real, stamp = index_file.stamp_of, index_file.stamp_of(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for module in (index_file, trial_index, folder_module):
        monkeypatch.setattr(module, "stamp_of", lambda p: stamp if Path(p) == path else real(p))
