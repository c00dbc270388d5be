"""``mritk card``: the model card of a trial or of a backbone."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mritk.store.folder import ResultsFolder


@pytest.fixture
def record(run_toy, tmp_path):
    run_toy("--seeds", 1)
    (found,) = ResultsFolder(tmp_path / "results").trials()
    return found


@pytest.mark.slow
def test_the_card_of_a_trial_by_the_beginning_of_its_id(mritk, record, tmp_path):
    ended = mritk("card", record.id[:6], "--results", tmp_path / "results")
    assert ended.code == 0, ended.err
    assert "# tiny@scratch on bands" in ended.out
    assert "| train | 57 | 19 |" in ended.out
    assert "| dataset | not stated |" in ended.out


@pytest.mark.slow
def test_by_the_path_of_its_file_into_a_file(mritk, record, tmp_path):
    path, target = tmp_path / "results" / "trials" / f"{record.id}.h5", tmp_path / "README.md"
    ended = mritk("card", path, "-o", target)
    assert ended.code == 0
    assert ended.out == ""
    assert "# tiny@scratch on bands" in target.read_text("utf-8")


@pytest.mark.parametrize(
    ("command", "name", "ending"),
    [("card densenet121@imagenet", "card.pdf", ".md"), ("report .", "page.PDF", ".html or .htm")],
)
def test_a_file_that_would_not_be_what_its_name_says_is_refused(
    mritk, tmp_path, command, name, ending
):
    ended = mritk(*command.split(), "-o", tmp_path / name)
    assert ended.code == 2
    assert f"{name} must end in {ending}" in ended.err
    assert not (tmp_path / name).exists()


def test_the_card_of_a_backbone(mritk):
    ended = mritk("card", "densenet121@imagenet")
    assert ended.code == 0, ended.err
    for told in (
        "# densenet121@imagenet",
        "not for clinical use",
        "| pretrained on | ImageNet-1k |",
        "Weights: apache-2.0.",
        "mritk run -b densenet121@imagenet",
    ):
        assert told in ended.out


def test_weights_without_a_licence_are_flagged(mritk):
    ended = mritk("card", "radimagenet_densenet121")
    assert "no licence stated: ask the publisher" in ended.out


def test_the_card_of_a_backbone_without_weights(mritk, toy):
    ended = mritk("card", "-p", toy, "tiny")
    assert "None: random initialisation" in ended.out
    assert "## Licence" not in ended.out


def test_a_name_that_nobody_knows(mritk, tmp_path):
    ended = mritk("card", "densnet121", "--results", tmp_path)
    assert ended.code == 2
    assert "did you mean densenet121" in ended.err
    assert "nor is it a trial id" in ended.err


def test_ids_that_begin_alike(mritk, make_record, tmp_path):
    for seed, name in enumerate(("a1", "a2", "b1")):
        ResultsFolder(tmp_path / "results").write(make_record(id=name, seed=seed))
    ended = mritk("card", "a", "--results", tmp_path / "results")
    assert ended.code == 2
    assert "use a longer prefix" in ended.err


def test_a_damaged_trial_file_and_a_path_of_nothing(mritk, tmp_path):
    torn = tmp_path / "torn.h5"
    torn.write_bytes(b"torn")
    assert mritk("card", torn).code == 3
    ended = mritk("card", tmp_path / "none.h5")
    assert ended.code == 2
    assert "no trial file" in ended.err


@pytest.mark.slow
def test_a_target_that_cannot_be_written(mritk, record, tmp_path):
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "card.md"
    ended = mritk("card", record.id, "--results", tmp_path / "results", "-o", target)
    assert ended.code == 3
    assert "cannot write" in ended.err


PROBE = """
import json, sys
from mritk.cli.main import main
code = main(sys.argv[1:])
print(json.dumps([code, "torch" in sys.modules]), file=sys.stderr)
"""


@pytest.mark.slow
def test_a_card_needs_no_torch(record, tmp_path):
    arguments = ("card", record.id, "--results", str(tmp_path / "results"))
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stderr.splitlines()[-1]) == [0, False]
