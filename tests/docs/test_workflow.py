"""The sample workflow works: its steps run as a runner would run them, actions played by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from mritk.cli.main import main
from tests.cli.test_compare import PLUGIN, shuffle_training_labels
from tests.conftest import FAST_PROTOCOL
from tests.docs.runner import Runner

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / "docs/examples/leaderboard.yml").read_text(encoding="utf-8"))

PUSH = {"github.event_name": "push", "github.sha": "aaa"}
PULL = {"github.event_name": "pull_request", "github.event.pull_request.base.sha": "aaa"}

# The program, whose trainings were made before: a training in each job would take minutes.
PROGRAM = """#!/bin/sh
[ "$1" = run ] || exec "{python}" -m mritk "$@"
[ "$2 $3" = "benchmark.toml --results" ] && cp -r "$TRAINED" "$4"
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Results of an honest code and of one that mixes up its labels, two seeds each."""
    home = tmp_path_factory.mktemp("trained")
    (home / "bands.py").write_text(PLUGIN)
    (home / "fast.toml").write_text(FAST_PROTOCOL)
    for name in ("honest", "defective"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MRITK_HOME", str(home / "home"))
            if name == "defective":
                shuffle_training_labels(patch)
            words = ["run", "-p", home / "bands.py", "-b", "tiny", "-d", "bands", "--device", "cpu"]
            words += ["--protocol", home / "fast.toml", "-o", home / name]
            assert main([str(word) for word in words]) == 0
    return home


@pytest.fixture(scope="module")
def act(tmp_path_factory, trained):
    """Check a repository out, whose code trains so, and run the job."""
    home, caches = tmp_path_factory.mktemp("runner"), {}
    (home / "bin").mkdir()
    (home / "bin" / "mritk").write_text(PROGRAM.format(python=sys.executable))
    (home / "bin" / "mritk").chmod(0o755)

    def run(name, facts, code="honest", skip=()):
        folder = home / name
        folder.mkdir()
        environ = {"PATH": f"{home / 'bin'}:/usr/bin:/bin", "TRAINED": str(trained / code)}
        environ["MRITK_HOME"] = str(home / "home")
        runner = Runner(folder, caches, environ, skip=("Install", *skip))
        return runner, runner.run(WORKFLOW, facts)

    return run


@pytest.mark.slow
def test_pull_requests_are_compared_with_what_the_main_branch_kept(act):
    page = ("Report", "actions/upload-artifact@v4")
    early, fine = act("early", PULL, skip=("Leaderboard", *page))
    assert fine, early.log
    assert early.ended["Gate"] == "skipped", "the main branch has kept nothing yet"
    assert "::notice::The main branch has kept no results yet" in early.log

    main, fine = act("main", PUSH, skip=("Leaderboard",))
    assert fine, main.log
    assert main.ended["Keep them"] == "success"
    assert main.ended["Gate"] == main.ended["Report"] == "skipped"

    same, fine = act("same", PULL, skip=page)
    assert fine, same.log
    assert same.ended["Gate"] == "success"
    summary = (same.folder / "summary.md").read_text()
    assert summary.count("tiny@scratch") >= 2, "the leaderboard and the comparison"

    # Of another commit, the latest results count.
    later = {**PULL, "github.event.pull_request.base.sha": "bbb"}
    broken, fine = act("broken", later, "defective")
    assert not fine
    assert broken.ended["Gate"] == "failure", broken.log
    assert "worse" in (broken.folder / "summary.md").read_text()
    assert broken.ended["Report"] == broken.ended["actions/upload-artifact@v4"] == "success"


def test_it_runs_on_pushes_to_main_and_on_pull_requests():
    events = WORKFLOW[True]  # YAML 1.1 reads 'on' as a truth value, GitHub does not
    assert events["push"] == {"branches": ["main"]}
    assert "pull_request" in events
    assert WORKFLOW["permissions"] == {"contents": "read"}


def test_it_installs_from_an_address_and_not_from_an_index():
    requirement = Requirement(WORKFLOW["env"]["MRITK"])
    assert requirement.name == "mritk-bench"
    assert requirement.extras == {"quickstart"}
    assert requirement.url.startswith("git+https://")
    (install,) = [s for s in WORKFLOW["jobs"]["compare"]["steps"] if s.get("name") == "Install"]
    assert install["run"] == 'python -m pip install "$MRITK"'
