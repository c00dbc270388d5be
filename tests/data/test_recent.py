"""The last few results of a slow function are remembered."""

from __future__ import annotations

import pytest

from mritk import DataError, Recent
from mritk.data.recent import KEPT


def test_only_the_last_files_are_kept(tmp_path):
    made = []
    recent = Recent(lambda path: made.append(path.name) or path.name)
    paths = [tmp_path / str(i) for i in range(KEPT + 1)]
    for path in [*paths, paths[-1], paths[0]]:
        assert recent(path) == path.name
    assert made == [*(path.name for path in paths), "0"]


def test_an_error_is_remembered_like_a_result(tmp_path):
    made = []

    def fail(path):
        made.append(path)
        raise DataError("broken")

    recent = Recent(fail)
    for _ in range(3):
        with pytest.raises(DataError, match="broken"):
            recent(tmp_path)
    assert len(made) == 1
