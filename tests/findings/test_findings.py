"""The tables of docs/findings.md: which trials, which samples, which differences."""

from __future__ import annotations

import re
from hashlib import sha256

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.findings.__main__ import main, replaced
from benchmarks.findings.numbers import difference, in_points, means
from benchmarks.findings.sections import (
    CELLS,
    DROPPED,
    KEPT,
    PRETRAINED,
    PUBLIC,
    SCRATCH,
    SECTIONS,
    flaws,
    leak,
    leak_classes,
)
from benchmarks.findings.trials import Trials, scored
from mritk.errors import Unavailable
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import Predictions
from mritk.tasks.classification import Classification

CLASSES, COUNT = 4, 240
RNG = np.random.default_rng(0)
TARGET = np.arange(COUNT) % CLASSES
HARD = RNG.random(COUNT)
CLEAN = np.arange(COUNT) % 3 == 0


def predictions(right):
    """The scores of a model that is right about the share ``right`` of easiest samples."""
    predicted = np.where(right > HARD, TARGET, (TARGET + 1) % CLASSES)
    return Predictions(
        id=[f"s{i:03d}" for i in range(COUNT)],
        patient=[""] * COUNT,
        site=[""] * COUNT,
        source=[""] * COUNT,
        target=TARGET,
        score=4 * np.eye(CLASSES, dtype=np.float32)[predicted],
        clean=CLEAN,
        unit=[f"g{i // 2:03d}" for i in range(COUNT)],
    )


@pytest.fixture
def make_trial(make_record):
    def make(protocol, right, *, backbone=PRETRAINED, seed=0):
        part = predictions(right)
        return make_record(
            id=sha256(f"{protocol} {backbone} {seed}".encode()).hexdigest()[:20],
            dataset=PUBLIC,
            protocol=protocol,
            backbone=backbone,
            seed=seed,
            task=Classification(tuple("abcd")),
            predictions={"val": part, "test": part},
        )

    return make


def accuracy(right, rows=slice(None)):
    """Balanced accuracy by hand, in points."""
    hit = (right > HARD)[rows]
    return 100 * np.mean([hit[TARGET[rows] == label].mean() for label in range(CLASSES)])


def test_the_parts_of_the_test_images_are_scored_apart(make_trial):
    (all_of,), (copied,), (clean,) = (
        scored([make_trial("p", 0.7)], part=part) for part in ("all", "copied", "clean")
    )
    assert (len(all_of.target), len(copied.target), len(clean.target)) == (240, 160, 80)
    assert means({"x": [clean]})["x"].mean * 100 == pytest.approx(accuracy(0.7, CLEAN))


def test_a_difference_between_two_protocols_is_that_by_hand_with_its_interval(make_trial):
    kept, dropped = scored([make_trial("kept", 0.8)]), scored([make_trial("dropped", 0.6)])
    found = difference(kept, dropped)
    expected = accuracy(0.8) - accuracy(0.6)
    assert 100 * found.difference == pytest.approx(expected)
    assert found.interval.low < found.difference < found.interval.high
    assert in_points(found).startswith(f"+{expected:.1f} [+")


def test_seeds_that_only_one_side_has_are_left_out(make_trial):
    one = scored([make_trial("kept", right, seed=s) for s, right in enumerate((0.8, 0.9))])
    other = scored([make_trial("dropped", 0.6, seed=0)])
    assert 100 * difference(one, other).difference == pytest.approx(accuracy(0.8) - accuracy(0.6))


def test_images_of_one_group_are_no_evidence_of_their_own(make_trial):
    """Both images of a group are made equal: the interval by groups is wider by about √2."""
    trial = make_trial("p", 0.7)
    test = trial.predictions["test"]
    test.score, test.target = np.repeat(test.score[::2], 2, axis=0), np.repeat(TARGET[::2], 2)
    by_image, by_group = (
        means({"": scored([trial], unit=unit)})[""].interval.width for unit in ("image", "group")
    )
    assert by_group / by_image == pytest.approx(2**0.5, rel=0.1)


def test_every_cell_of_the_flaws_is_compared_with_the_replica(make_trial):
    rights = dict(zip(CELLS, (0.9, 0.85, 0.7, 0.65, 0.6), strict=True))
    trials = [make_trial(CELLS[label], right) for label, right in rights.items()]
    table = flaws(Trials({(PUBLIC, t.protocol, PRETRAINED): [t] for t in trials}))
    for label, right in rights.items():
        line = next(line for line in table.splitlines() if line.startswith(f"| {label} "))
        score, gap = re.findall(r"\| ([+\d.]+) \[", line + "| 0 [")[:2]
        assert float(score) == pytest.approx(accuracy(right), abs=0.06)
        assert float(gap) == pytest.approx(accuracy(0.9) - accuracy(right), abs=0.06)


def test_a_finding_without_its_trials_names_what_is_missing():
    with pytest.raises(Unavailable, match="no finished trial of efficientnet_lite0@imagenet on"):
        leak(Trials({}))


def rows_of(table):
    """The cells of a Markdown table, by its first columns up to the test images."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    return {tuple(line[:-3]): line[-3:] for line in lines}


def leaking(make_trial, clean):
    """Trials with and without copies; ``clean`` says which test samples have none."""
    trials = {}
    for name, right in ((KEPT, 0.9), (DROPPED, 0.6)):
        for backbone in (PRETRAINED, SCRATCH):
            trial = make_trial(name, right, backbone=backbone)
            trial.predictions["test"].clean = clean
            trials[PUBLIC, name, backbone] = [trial]
    return Trials(trials)


@pytest.mark.slow
def test_means_over_classes_are_withheld_of_images_without_a_copy_where_a_class_has_too_few(
    make_trial,
):
    """Two images of class b, and none of c."""
    few = CLEAN & (TARGET != 2) & ((TARGET != 1) | (np.arange(COUNT) < 22))
    assert [int(np.sum(few[k == TARGET])) for k in range(4)] == [20, 2, 0, 20]
    trials = leaking(make_trial, few)
    found = rows_of(leak(trials))
    assert found[PRETRAINED, "without one (42)"] == ["– (2 classes < 5)"] * 3
    kept = found[PRETRAINED, "with a copy in training as given (198)"][0]
    assert kept.startswith(f"{accuracy(0.9, ~few):.1f} [")
    classes = rows_of(leak_classes(trials))
    short = classes[PRETRAINED, "b", "without one (2, 2 groups)"]
    assert short == ["– (2 of 5 groups)"] * 3
    rows = few & (TARGET == 0)
    kept, dropped, bought = classes[PRETRAINED, "a", "without one (20, 20 groups)"]
    assert kept.startswith(f"{100 * (HARD < 0.9)[rows].mean():.1f}")
    assert dropped.startswith(f"{100 * (HARD < 0.6)[rows].mean():.1f}")
    gap = 100 * ((HARD < 0.9)[rows].mean() - (HARD < 0.6)[rows].mean())
    assert bought.startswith(f"{gap:+.1f}")


# -- the document --------------------------------------------------------------------------------


def test_only_what_stands_between_the_marks_is_replaced():
    text = "a\n<!-- finding: leak -->\nold\n<!-- end -->\nb\n<!-- finding: x -->\n1\n<!-- end -->\n"
    assert replaced(text, "leak", "| t |") == text.replace("old", "\n| t |\n")
    assert replaced(text, "absent", "| t |") == text


def test_every_finding_has_its_marks_in_the_document(request):
    text = (request.config.rootpath / "docs" / "findings.md").read_text(encoding="utf-8")
    for name in SECTIONS:
        assert replaced(text, name, "| new |") != text, name


@pytest.mark.slow
def test_the_command_updates_a_document_and_says_what_is_missing(make_trial, tmp_path):
    folder = ResultsFolder(tmp_path / "results")
    folder.require_writable()
    for number, protocol in enumerate(CELLS.values()):
        folder.write(make_trial(protocol, 0.9 - 0.1 * number))
    document = tmp_path / "findings.md"
    document.write_text("<!-- finding: flaws -->\n<!-- end -->\n")
    ended = CliRunner().invoke(main, [str(folder.path), "--update", str(document)])
    assert ended.exit_code == 0
    assert "leak: no finished trial" in ended.stderr
    assert "| corrected " in document.read_text()
