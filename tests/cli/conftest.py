"""Results folders whose rows can be compared."""

from __future__ import annotations

import pytest

from mritk.store.folder import ResultsFolder
from tests.cli.paired_trials import made_trial


@pytest.fixture
def store(tmp_path):
    """Write trials into a results folder and return its path."""

    def write(*trials):
        folder = ResultsFolder(tmp_path / "results")
        for trial in trials:
            folder.write(trial)
        return folder.path

    return write


@pytest.fixture
def three_rows(store):
    return store(made_trial("best", 0.95), made_trial("middle", 0.76), made_trial("worst", 0.66))
