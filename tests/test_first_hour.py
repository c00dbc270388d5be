"""The first hour of a new user: what is typed, mistakes included, and the last line that comes.

One session in one folder; a line may need what an earlier one left.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version

import pytest
from packaging.version import Version

from tests.conftest import FAST_PROTOCOL, TOY_PLUGIN
from tests.session import Session, furnish

TOY = "mritk run -p ./mine.py -b tiny -d bands --seeds 1 --device cpu"
RECIPE = r"it is part of the protocol .* 'mritk show quick --toml > FILE\.toml', change it there"
# click 8.4 knows what was meant.
KNOWS = Version(version("click")) >= Version("8.4")
NEAR = r" \(Did you mean one of: 'rerun', 'run'" if KNOWS else "$"
CODES = r"unavailable, 5 nothing to do, 130 interrupted\."

pytestmark = pytest.mark.slow

# What is typed, the exit code, what is found in the last line.
SCRIPT = [
    # Where am I?
    ("mritk --version", 0, r"^mritk, version \d"),
    ("mritk", 2, CODES),
    ("mritk help", 0, CODES),
    ("mritk help run", 0, r"-h, --help +Show this message"),
    ("mritk runn", 2, rf"No such command 'runn'\.{NEAR}"),
    ("mritk list backbone", 2, "'backbone' is not one of 'backbones', 'datasets'"),
    ("mritk list protocols", 0, r"^voxel_ridge .*ridge regression on voxels"),
    # My images.
    ("mritk run imgs", 4, r"no benchmark file imgs; for this path, use -d folder:imgs$"),
    ("mritk run -d imgs", 2, r"unknown dataset 'imgs' .*for this path, use folder:imgs$"),
    ("mritk run -d ./imgs", 2, r"for this path, use folder:\./imgs$"),
    (
        "mritk run -d './imgs,patient_regex=(pat..)_'",
        2,
        r"for this path, use 'folder:\./imgs,patient_regex=\(pat\.\.\)_'$",
    ),
    ("mritk run -d folder:./dcm", 2, r"it contains 2 \.dcm.*for this path, use dicom:\./dcm$"),
    ("mritk run -d folder:x.jpg", 2, r"x\.jpg is a single file; folder:PATH needs a folder"),
    (
        "mritk run -d folder:./nowhere",
        4,
        r"^mritk: no folder \./nowhere; folder:PATH needs a folder",
    ),
    ("mritk run --data imgs", 2, r"No such option '--data': use --dataset folder:PATH$"),
    # My patients.
    (
        "mritk run -b small_cnn -d folder:./imgs",
        2,
        r"has no patient ids.*--patient-regex REGEX.*--patients FILE.*--no-patient-ids",
    ),
    (
        "mritk run -b small_cnn -d folder:./imgs --patient-regex '('",
        2,
        r"--patient-regex '\(' is not a valid regular expression: missing \)",
    ),
    (
        "mritk run -b small_cnn -d folder:./imgs --patient-regex 'patient(.)'",
        2,
        "does not match 20 of 20 ids .*change it to match every id$",
    ),
    (
        "mritk run -b small_cnn -d 'folder:./imgs,patient_regx=(pat..)_'",
        2,
        r"has no option 'patient_regx'; did you mean patient_regex\?",
    ),
    ("mritk audit folder:./imgs", 0, r"^Clean: no duplicates.* 20 of 20 samples were read"),
    # My machine, my recipe.
    ("mritk run --epochs 3", 2, RECIPE),
    ("mritk run --lr 1e-3", 2, RECIPE),
    ("mritk run --seed 3", 2, r"No such option '--seed': use --seeds N, the number of seeds$"),
    (
        "mritk run --device gpu",
        2,
        r"expected auto, cpu, cuda or cuda:N; an NVIDIA or AMD GPU is cuda$",
    ),
    ("mritk run --fold 3", 2, "no fold 3: protocol quick has 1, numbered from 0$"),
    ("mritk run -b resnet19", 2, r"unknown backbone 'resnet19'; did you mean resnet18 or resnet50"),
    ("mritk run -b densenet121@imagnet", 2, "there is densenet121@imagenet or densenet121@"),
    (
        "mritk run -b densenet121@radimagenet",
        4,
        r"no DenseNet121\.pt in .*download it from the Google",
    ),
    ("mritk run -b convnext_tiny", 4, r"convnext_tiny@imagenet: no model\.safetensors .*offline"),
    ("mritk run -a flop", 2, r"unknown augmentation 'flop'; did you mean flip or crop\?"),
    ("mritk run --protocol nope", 2, r"unknown protocol 'nope' \('mritk list protocols' lists all"),
    (
        "mritk run --protocol mine.toml",
        4,
        r"to create a template: mritk show quick --toml > mine\.toml",
    ),
    ("mritk show quick --toml > mine.toml", 0, "^$"),
    ("mritk run --protocol mine.toml --fold 1", 2, "protocol mine has 1, numbered from 0$"),
    ("mritk run --protocol slip.toml", 2, r"line 7: .*'batch_sise'; did you mean 'batch_size'\?$"),
    # My network.
    ("mritk plugins check -p ./mine.py tiny", 0, r"^12 passed, 0 failed, 0 skipped, 3 n/a$"),
    (f"{TOY} --protocol fast.toml --dry-run", 0, r"^1 of 1 trials would run\.$"),
    (f"{TOY} --protocol fast.toml -o first", 0, r"^  mritk run -d folder:PATH    your own images"),
    (
        f"{TOY} -d 'folder:./imgs,patient_regex=(pat..)_' --protocol fast.toml -o first -n",
        0,
        r"^1 of 2 trials would run\.$",
    ),
    # My results.
    (
        "mritk leaderboard",
        2,
        r"no results folder mritk-results; to create one: mritk run --results",
    ),
    ("mritk leaderboard first", 0, "so its variance is unknown"),
    (
        "mritk leaderboard first --metric acuracy",
        2,
        r"did you mean accuracy or balanced_accuracy\?",
    ),
    ("mritk leaderboard first --columns flop", 2, r"no column 'flop'; available: .*flops"),
    ("mritk show zzz", 2, r"unknown name 'zzz': .*'mritk list backbones' etc\. list"),
    ("mritk show {trial} -o first", 0, r"^3 +all "),
    ("mritk verify {trial} -o first", 0, r"^class_wise_ece +\d\.\d+$"),
    ("mritk card zzz", 2, r"unknown backbone 'zzz' .*nor is it a trial id"),
    ("mritk differences first", 2, "fewer than two rows with finished trials to compare$"),
    ("mritk plot curve first", 2, r"create them with 'mritk run --vary KEY=VALUE,VALUE'$"),
    ("mritk compare first nowhere", 2, "no results folder nowhere; to create one: mritk run"),
    ("mritk compare first first", 0, "^Difference: head minus base"),
    ("mritk report first -o page.html", 0, r"^page\.html \(0\.\d MB\)$"),
    ("mritk doctor first", 0, r"^1 trial is intact; no problems found\.$"),
    ("mritk plugins new wide-net --kind backbone", 0, "mritk run -b wide_net"),
    ("mritk plugins new wide-net --kind backbone", 2, "already exists; remove it, or choose"),
    ("mritk fetch", 2, "specify what to download: -d DATASET, -b BACKBONE$"),
]


@pytest.fixture(scope="module")
def screens(tmp_path_factory):
    """Type the whole script; return what became of each line."""
    folder = tmp_path_factory.mktemp("hour")
    furnish(folder, TOY_PLUGIN, FAST_PROTOCOL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MRITK_HOME", str(folder / "home"))
        patch.setenv("HF_HOME", str(folder / "hf"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        for name in ("MRITK_RADIMAGENET", "MRITK_PLUGINS"):
            patch.delenv(name, raising=False)
        session = Session(folder)
        return [session.type(line) for line, _, _ in SCRIPT]


@pytest.mark.parametrize("number", range(len(SCRIPT)), ids=[line for line, _, _ in SCRIPT])
def test_the_last_line_says_what_became_of_it_or_what_to_type(screens, number):
    _, code, last = SCRIPT[number]
    ended = screens[number]
    assert ended.code == code, ended.screen
    assert re.search(last, ended.last), ended.screen


def test_there_are_forty_lines_and_no_traceback(screens):
    assert len(screens) >= 40
    for ended in screens:
        assert "Traceback" not in ended.screen


@pytest.mark.parametrize("number", range(len(SCRIPT)), ids=[line for line, _, _ in SCRIPT])
def test_a_mistake_is_told_in_one_line(screens, number):
    """click adds how the command is used; ``mritk`` alone shows the help."""
    if SCRIPT[number][1] == 0 or SCRIPT[number][0] == "mritk":
        return
    said = [
        line
        for line in screens[number].screen.splitlines()
        if line.strip() and not line.startswith(("Usage: ", "Try '", "preparing data …"))
    ]
    assert len(said) == 1, said
    assert said[0].startswith(("mritk: ", "Error: "))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "code", "last"),
    [
        ("python -m mritk --version", 0, r"^mritk, version \d"),
        ("python -m mritk runn", 2, "No such command 'runn'"),
        ("python -m mritk run -d ./imgs", 2, r"for this path, use folder:\./imgs$"),
        ("python -m mritk list datasets | head -1", 0, "^name "),
        (
            "python -m mritk show quick --toml > q.toml && head -2 q.toml",
            0,
            '^method = "finetune"$',
        ),
    ],
)
def test_so_it_is_in_a_shell(line, code, last, tmp_path):
    (tmp_path / "imgs" / "glioma").mkdir(parents=True)
    (tmp_path / "imgs" / "none").mkdir()
    for label in ("glioma", "none"):
        (tmp_path / "imgs" / label / "1.png").write_bytes(b"\x89PNG")
    done = subprocess.run(
        ["sh", "-c", line.replace("python", sys.executable, 1)],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    assert re.search(last, done.stdout.splitlines()[-1]), done.stdout
