"""What tests of trackers share: a run without one, and a way to stop a run."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import TrialRecord
from tests.conftest import TOY_PLUGIN, run_toy_in

TRACKERS = ("MRITK_TENSORBOARD", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME")

# Stops the run after epoch 2 has been told to all, but before it is in the checkpoint.
STOP = """
from pathlib import Path
from mritk import hookimpl


@hookimpl(trylast=True)
def mritk_epoch_end(epoch):
    if epoch.epoch == 2 and Path(__file__).with_name("stop").exists():
        raise KeyboardInterrupt
"""


def trials_in(folder: Path) -> dict[str, TrialRecord]:
    """Return the stored trials of a results folder by their ids."""
    return {trial.id: trial for trial in ResultsFolder(folder).trials()}


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[], dict[str, TrialRecord]]:
    """Return the trials that ``run_toy`` has stored."""
    return lambda: trials_in(tmp_path / "results")


@pytest.fixture(scope="session")
def untracked(tmp_path_factory, audit_once) -> dict[str, TrialRecord]:
    """Return the trials of the toy with two seeds, of which no tracker was told."""
    folder = tmp_path_factory.mktemp("untracked")
    (folder / "toy.py").write_text(TOY_PLUGIN)
    shutil.copytree(audit_once(folder / "toy.py", "bands"), folder / "home" / "audit")
    with pytest.MonkeyPatch.context() as patch:
        for variable in TRACKERS:
            patch.delenv(variable, raising=False)
        return trials_in(run_toy_in(folder, TOY_PLUGIN, "--seeds=2"))


@pytest.fixture
def stored_as_without_tracker(stored, untracked) -> Callable[..., None]:
    """Check that what was stored is finished, and bit for bit that of a run without trackers."""

    def check(*, seeds: int) -> None:
        expected = {name: trial for name, trial in untracked.items() if trial.seed < seeds}
        found = stored()
        assert found.keys() == expected.keys()
        assert len(found) == seeds
        for name, trial in found.items():
            assert trial.status == "finished"
            for part in ("val", "test"):
                ours, other = trial.predictions[part], expected[name].predictions[part]
                assert ours.id == other.id
                np.testing.assert_array_equal(ours.score, other.score)
            curves = [
                [(e.epoch, e.train_loss, e.val_loss) for e in t.history]
                for t in (trial, expected[name])
            ]
            assert curves[0] == curves[1]

    return check


@pytest.fixture
def stop(tmp_path: Path) -> tuple[object, ...]:
    """Options of a run that is stopped in its second epoch, while the file ``stop`` is there."""
    plugin = tmp_path / "stop.py"
    plugin.write_text(STOP)
    plugin.with_name("stop").touch()
    return ("-p", plugin)


@pytest.fixture
def failing(toy: Path) -> None:
    """Make the toy's network fail before the first epoch."""
    toy.write_text(toy.read_text().replace("    from torch import nn\n", "    1 / 0\n"))


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Pretend that a distribution with one plugin module is installed."""

    def install(name, source, version="1.0", points=""):
        root = tmp_path / "site"
        info = root / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (root / f"{name}.py").write_text(textwrap.dedent(source))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[mritk]\n{points or f'{name} = {name}'}\n")
        if str(root) not in sys.path:
            monkeypatch.syspath_prepend(root)
        monkeypatch.delitem(sys.modules, name, raising=False)

    return install
