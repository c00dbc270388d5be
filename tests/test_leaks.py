"""Leaks in the data, from the file on disk to the table: nothing is trained on that is tested."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from mritk.store.folder import ResultsFolder

PROTOCOL = """
method = "finetune"
image_size = 32

[split]
{split}

[parameters]
batch_size = 16

[[parameters.stages]]
name = "all"
epochs = 1
"""


@pytest.fixture
def images(tmp_path):
    """40 training and 16 test images; test images 0 to 5 are copies of training images."""
    generator = np.random.default_rng(0)
    small = [Image.fromarray(generator.integers(0, 256, (9, 9), np.uint8)) for _ in range(56)]
    large = [np.asarray(image.resize((72, 72), Image.Resampling.BICUBIC)) for image in small]
    for number in range(6):
        large[40 + number] = np.rot90(large[number], number)
    for number, picture in enumerate(large):
        part = "Training" if number < 40 else "Testing"
        path = tmp_path / "images" / part / ("a", "b")[number % 2] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return tmp_path / "images"


@pytest.fixture
def run(mritk, toy, images, tmp_path):
    """Run ``tiny`` on the images under a split; return the call and its trial."""

    def call(split="", *arguments, data=None):
        protocol = tmp_path / "protocol.toml"
        protocol.write_text(PROTOCOL.format(split=split))
        base = ("run", "-p", toy, "-b", "tiny", "-d", data or f"folder:{images}", "--seeds", 1)
        results = tmp_path / f"results{len(list(tmp_path.glob('results*')))}"
        ended = mritk(*base, "--protocol", protocol, "-o", results, *arguments)
        assert ended.code == 0, ended.err
        return ended, next(iter(ResultsFolder(results).trials()))

    return call


@pytest.fixture(scope="module")
def made():
    """What :func:`usual` has made."""
    return []


@pytest.fixture
def usual(run, made):
    """The call without a split of its own, and its trial; made once, as tests only read them."""
    if not made:
        made.append(run())
    return made[0]


def numbers(ids):
    return {int(name[-6:-4]) for name in ids}


@pytest.mark.slow
def test_training_samples_that_copy_a_test_sample_are_dropped(usual):
    ended, trial = usual
    assert numbers(trial.splits["dropped"]) == set(range(6))
    assert not numbers([*trial.splits["train"], *trial.splits["val"]]) & set(range(6))
    assert len(trial.splits["test"]) == 16, "the test part stays whole"
    assert numbers(np.asarray(trial.predictions["test"].id)[trial.predictions["test"].clean]) == (
        set(range(46, 56))
    )
    assert "6 of 16 test samples have a duplicate in the train set" in ended.err


@pytest.mark.slow
def test_the_table_has_both_scores_and_both_counts(usual):
    ended, _ = usual
    heading = next(line for line in ended.out.splitlines() if line.startswith("| backbone"))
    assert "balanced accuracy (16) ↑" in heading
    assert "clean (10) ↑" in heading
    assert "16 test samples (10 clean)" in ended.out
    assert "Audit: 6 of 16 test samples have a duplicate" in ended.out
    assert "6 samples were dropped from training and validation" in ended.out
    assert "†" not in ended.out


@pytest.mark.slow
def test_clean_scores_are_those_of_the_clean_samples(run):
    ended, trial = run("", "--json")
    (table,) = json.loads(ended.out)["leaderboard"]["tables"]
    test = trial.predictions["test"]
    right = test.score.argmax(axis=1) == test.target
    metrics = {
        name: table["rows"][0][name]["accuracy"]["mean"] for name in ("metrics", "clean_metrics")
    }
    assert metrics["metrics"] == pytest.approx(right.mean())
    assert metrics["clean_metrics"] == pytest.approx(right[test.clean].mean())
    assert (table["test_samples"], table["clean_test_samples"]) == (16, 10)


@pytest.mark.slow
def test_copies_can_be_kept_and_every_cell_says_so(run):
    ended, trial = run('copies = "keep"')
    assert trial.splits["dropped"] == []
    assert set(range(6)) <= numbers([*trial.splits["train"], *trial.splits["val"]])
    row = next(line for line in ended.out.splitlines() if line.startswith("| tiny"))
    heads = next(line for line in ended.out.splitlines() if line.startswith("| backbone"))
    pairs = zip(heads.split("|"), row.split("|"), strict=True)
    scores = {head.strip(): cell for head, cell in pairs if "↑" in head or "loss" in head}
    assert len(scores) == 7
    assert all("†" in cell for cell in scores.values())
    assert (
        "† Nothing was dropped (copies = keep): 6 of 16 test samples have a duplicate" in ended.out
    )


@pytest.mark.slow
def test_keeping_copies_is_another_protocol(usual, run):
    assert usual[1].fingerprint != run('copies = "keep"')[1].fingerprint


@pytest.mark.slow
def test_the_verdict_is_in_the_trial_file(usual):
    _, trial = usual
    verdict = trial.audit
    assert verdict["copies"] == "drop"
    assert (verdict["test"], verdict["clean"], verdict["dropped"]) == (16, 10, 6)
    assert len(verdict["split"]) == 64
    assert {finding["kind"] for finding in verdict["findings"]} == {"copies", "clusters"}


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["holdout", "kfold"])
def test_splits_that_mritk_draws_keep_copies_on_one_side(run, scheme):
    ended, trial = run(f'scheme = "{scheme}"', "--no-patient-ids", "--fold", 0)
    parts = {part: numbers(ids) for part, ids in trial.splits.items()}
    for one in range(6):
        assert [p for p, found in parts.items() if one in found] == [
            p for p, found in parts.items() if 40 + one in found
        ]
    assert trial.predictions["test"].clean.all()
    assert "12 samples form 6 clusters of duplicates, none shared between splits" in ended.out


@pytest.mark.slow
def test_k_shot_trains_on_exactly_k_of_each_class(run):
    _, trial = run("shots = 5")
    assert len(trial.splits["train"]) == 10
    assert sum("/a/" in name for name in trial.splits["train"]) == 5
    assert all(name.startswith("Training") for name in trial.splits["unused"])
    _, smaller = run("shots = 3")
    assert set(smaller.splits["train"]) < set(trial.splits["train"])


@pytest.mark.slow
def test_the_balance_of_the_parts_is_told(usual):
    ended, _ = usual
    assert "official split of protocol:" in ended.err
    assert "test 16 samples: a 50 %, b 50 %" in ended.err


@pytest.mark.slow
def test_the_balance_of_many_folds_is_one_line_more(run):
    ended, _ = run('scheme = "kfold"\nfolds = 3\nrepeats = 2', "--no-patient-ids")
    assert ended.err.count("kfold split of protocol, the first of 6 folds:") == 1
    assert "all folds: test sets of" in ended.err
    assert "3-fold cross-validation, 2 repeats, 56 test samples" in ended.out


@pytest.mark.slow
def test_leaks_between_official_parts_are_not_told_where_they_are_not_used(run):
    ended, _ = run('scheme = "holdout"', "--no-patient-ids")
    assert "leak:" not in ended.err
    assert "12 samples form 6 clusters" in ended.err


def test_no_split_is_drawn_before_somebody_tells_the_patients(mritk, toy, images, fast_protocol):
    base = ("run", "-p", toy, "-b", "tiny", "-d", f"folder:{images / 'Training'}")
    ended = mritk(*base, "--protocol", fast_protocol)
    assert ended.code == 2
    assert "has no patient ids" in ended.err
    for flag in ("--patient-regex", "--patients", "--no-patient-ids"):
        assert flag in ended.err


@pytest.mark.slow
def test_copies_are_bound_to_their_samples_when_others_are_skipped(run, images):
    """Unreadable files at the front must not shift what is known of the rest."""
    for name in ("00a", "00b", "00c"):
        (images / "Training" / "a" / f"{name}.png").write_bytes(b"")
    _, trial = run("", "--skip-unreadable")
    assert len(trial.skipped) == 3
    assert numbers(trial.splits["dropped"]) == set(range(6))


@pytest.mark.slow
def test_an_official_test_part_that_cannot_be_read_is_not_replaced(mritk, toy, images, tmp_path):
    for path in (images / "Testing").rglob("*.png"):
        path.write_bytes(b"")
    protocol = tmp_path / "protocol.toml"
    protocol.write_text(PROTOCOL.format(split=""))
    base = ("run", "-p", toy, "-b", "tiny", "-d", f"folder:{images}", "--protocol", protocol)
    ended = mritk(*base, "--skip-unreadable")
    assert ended.code == 2
    assert "no sample in the official test set of folder:images is readable" in ended.err


@pytest.mark.slow
def test_what_is_clean_belongs_to_the_identity_of_a_trial(run, monkeypatch):
    """A better audit must not leave old verdicts standing as if they were of today."""
    _, first = run('copies = "keep"')
    monkeypatch.setattr("mritk.audit.evidence.SAME_WHOLE", 2.0)
    monkeypatch.setattr("mritk.audit.evidence.SAME_SMALL", 2.0)
    monkeypatch.setattr("mritk.audit.evidence.SAME_CONTENT", 2.0)
    monkeypatch.setattr("mritk.audit.copies.altered_copies", lambda *_: ())
    monkeypatch.setattr("mritk.audit.copies.SEARCH_VERSION", 0)
    _, second = run('copies = "keep"')
    assert first.audit["split"] == second.audit["split"]
    assert first.audit["clean"] < second.audit["clean"]
    assert first.id != second.id


@pytest.mark.slow
def test_options_take_the_place_of_their_own_key_in_a_benchmark_file(mritk, toy, images, tmp_path):
    (tmp_path / "protocol.toml").write_text(PROTOCOL.format(split='scheme = "holdout"'))
    (tmp_path / "bench.toml").write_text(
        f"""
backbones = ["tiny"]
datasets = ["folder:{images}"]
protocols = ["protocol.toml"]
seeds = [0]

[data]
patient_regex = '(\\d)\\.png'
rename = {{ a = "x" }}
"""
    )
    base = ("run", tmp_path / "bench.toml", "-p", toy, "--rename", "b=y")
    ended = mritk(*base, "-o", tmp_path / "results")
    assert ended.code == 0, ended.err
    (trial,) = ResultsFolder(tmp_path / "results").trials()
    assert trial.grouped
    assert trial.task.classes == ("x", "y")


@pytest.mark.slow
def test_joined_datasets_run_and_keep_the_source_of_every_sample(run, images):
    _, trial = run(
        'scheme = "holdout"',
        "--no-patient-ids",
        data=f"folder:{images / 'Training'}+folder:{images / 'Testing'}",
    )
    assert trial.dataset == "folder:Training+folder:Testing"
    assert set(trial.predictions["test"].source) == {"folder:Training", "folder:Testing"}
    copied = [name for name in trial.splits["test"] if "Testing" in name]
    trained = numbers(trial.splits["train"])
    assert not {n - 40 for n in numbers(copied) if n < 46} & trained


@pytest.mark.slow
def test_pretraining_on_the_dataset_marks_the_row(mritk, tmp_path, fast_protocol):
    (tmp_path / "seen.py").write_text(
        """
import numpy as np, torch
from mritk import *

def build():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, 2), torch.nn.AdaptiveAvgPool2d(1),
                               torch.nn.Flatten())

def locate(workspace):
    path = workspace.folder("weights") / "net.pt"
    torch.save(build().state_dict(), path)
    return path

def open_set(workspace):
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16)).astype(np.uint8)
    return Samples([str(i) for i in range(60)], np.arange(60) % 2, Classification(("a", "b")),
                   lambda i: images[i], patients=[str(i) for i in range(60)])

@hookimpl
def mritk_datasets():
    yield Dataset("known", open_set, sources=("figshare",))

@hookimpl
def mritk_backbones():
    yield Architecture("net", build, InputContract(16))
    yield Weights("net", "brains", locate, pretrained_on=("Fig-Share",))
""",
        encoding="utf-8",
    )
    ended = mritk(
        *("run", "-p", tmp_path / "seen.py", "-d", "known", "-b", "net@brains", "-b"),
        *("net@scratch", "--protocol", fast_protocol, "--seeds", 1, "-o", tmp_path / "results"),
    )
    assert ended.code == 0, ended.err
    rows = [line for line in ended.out.splitlines() if line.startswith("| net@")]
    assert {row.split("|")[1].strip(): "‡" in row for row in rows} == {
        "net@brains": True,
        "net@scratch": False,
    }
    assert "‡ The backbone was pretrained on a source of these data." in ended.out
