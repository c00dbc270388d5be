"""``mritk differences``: all pairs of rows, by the bootstrap; what is refused."""

from __future__ import annotations

import csv
import io
import math
import subprocess
import sys

import numpy as np
import pytest

from mritk.results.analysis import Analysis
from mritk.results.leaderboard import build_leaderboard
from mritk.store.folder import ResultsFolder
from tests.cli.paired_trials import GIVEN, as_json, made_trial


def test_all_pairs_best_first_with_interval_p_holm_and_verdict(mritk, three_rows):
    ended = mritk("differences", three_rows, GIVEN)
    assert ended.code == 0, ended.err
    lines = [line for line in ended.out.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["first", "second", "difference", "p", "p (Holm)", "verdict"]
    assert [(row[0], row[1], row[5]) for row in cells[1:]] == [
        ("best", "middle", "better"),
        ("best", "worst", "better"),
        ("middle", "worst", "cannot tell"),
    ]
    assert "[" in cells[1][2]
    assert "Paired clustered bootstrap: difference in balanced accuracy ↑" in ended.out
    assert "Holm correction over 3 comparisons, 5 %." in ended.out


def test_the_numbers_are_those_of_the_leaderboard(mritk, three_rows):
    given = Analysis(given_these_models=True)
    trials = ResultsFolder(three_rows).trials()
    (table,) = build_leaderboard(trials, metrics=["mcc"], analysis=given).tables
    (found,) = as_json(mritk, three_rows, "--metric", "mcc")
    for pair, comparison in zip(found["pairs"], table.comparisons["mcc"], strict=True):
        assert pair["difference"] == comparison.difference
        assert pair["p_adjusted"] == comparison.p_adjusted
        assert pair["interval"]["low"] == comparison.interval.low


def test_a_baseline_leaves_the_pairs_with_it_and_corrects_over_these(mritk, three_rows):
    (every,) = as_json(mritk, three_rows)
    (found,) = as_json(mritk, three_rows, "--baseline", "midd")
    assert [(p["first"], p["second"]) for p in found["pairs"]] == [
        ("best", "middle"),
        ("worst", "middle"),
    ]
    pairs = {(p["first"], p["second"]): p for p in every["pairs"]}
    worst, mirrored = found["pairs"][1], pairs["middle", "worst"]
    assert worst["difference"] == -mirrored["difference"]
    assert worst["interval"]["low"] == -mirrored["interval"]["high"]
    assert worst["p"] == mirrored["p"]
    # Holm over two comparisons instead of three: the larger p is left as it is.
    assert worst["p_adjusted"] == worst["p"]
    assert found["pairs"][0]["p_adjusted"] == 2 * pairs["best", "middle"]["p"]


def test_a_bayesian_comparison_with_a_baseline_is_mirrored_too(mritk, three_rows):
    every, found = (
        as_json(mritk, three_rows, "--test", "bayes", *options)[0]["pairs"]
        for options in ((), ("--baseline", "best"))
    )
    assert found[0]["probabilities"]["worse"] == every[0]["probabilities"]["better"]
    assert found[0]["verdict"] == "worse"


def test_a_baseline_that_is_no_row_or_several_is_refused_with_their_names(mritk, three_rows):
    for text, count in (("nobody", "no"), ("t", "2")):
        ended = mritk("differences", three_rows, GIVEN, "--baseline", text)
        assert ended.code == 2
        assert f"{count} rows contain '{text}'; name one of: best; middle; worst" in ended.err


def test_only_trials_of_a_protocol_are_compared(mritk, store):
    named = [("quick[a=1]", 0.95), ("quick[a=2]", 0.7), ("other", 0.6)]
    results = store(
        *(
            made_trial(f"net{n}", right, protocol=name, fingerprint=str(n) * 64)
            for n, (name, right) in enumerate(named)
        )
    )
    (found,) = as_json(mritk, results, "--protocol", "quick[*")
    assert [(p["first"], p["second"]) for p in found["pairs"]] == [
        ("net0, quick[a=1]", "net1, quick[a=2]")
    ]
    ended = mritk("differences", results, "--protocol", "quick")
    assert (ended.code, ended.err.strip()) == (5, f"mritk: no trials of quick in {results}")


def test_a_row_without_a_rank_is_compared_and_said_to_have_none(mritk, store):
    text = '{"split": {"validation": "test"}}'
    peeking = made_trial("peeking", 0.95, protocol="p", fingerprint="e" * 64, protocol_json=text)
    fair = made_trial("fair", 0.6, protocol_json='{"split": {}}')
    ended = mritk("differences", store(peeking, fair), GIVEN)
    assert ended.code == 0, ended.err
    assert "Not ranked, because the test set helped to make it: peeking, p." in ended.out
    assert any("peeking, p" in line and "fair, fast" in line for line in ended.out.splitlines())


@pytest.mark.slow
def test_formats(mritk, three_rows):
    ended = mritk("differences", three_rows, GIVEN, "--format=csv")
    rows = list(csv.DictReader(io.StringIO(ended.out)))
    (table,) = as_json(mritk, three_rows)
    assert [float(row["p"]) for row in rows] == [pair["p"] for pair in table["pairs"]]
    assert rows[0]["dataset"] == "bands"
    assert rows[0]["verdict"] == "better"
    plain = mritk("differences", three_rows, "--format", "plain").out
    assert "best    middle" in plain
    assert "|" not in plain


def test_a_name_cannot_break_the_table(mritk, store):
    folder = store(made_trial("a|b<i>", 0.9), made_trial("c", 0.6))
    assert r"a\|b&lt;i&gt;" in mritk("differences", folder).out


@pytest.mark.slow
def test_by_class_a_difference_is_that_of_recalls(mritk, three_rows):
    by_class = ("--by", "class", "--baseline", "worst", GIVEN)
    ended = mritk("differences", three_rows, *by_class)
    assert ended.code == 2
    assert "a mean over classes, but --by class divides samples by class" in ended.err
    tables = as_json(mritk, three_rows, *by_class, "--metric", "accuracy")
    recalls = {}
    for record in ResultsFolder(three_rows).trials():
        test = record.predictions["test"]
        hit = test.score.argmax(axis=1) == test.target
        recalls[record.backbone] = [hit[test.target == k].mean() for k in range(2)]
    for k, table in enumerate(tables):
        assert table["class"] == "ab"[k]
        found = {pair["first"]: pair["difference"] for pair in table["pairs"]}
        expected = {n: r[k] - recalls["worst"][k] for n, r in recalls.items() if n != "worst"}
        assert found == pytest.approx(expected)
    told = (*by_class, "--metric=accuracy", "--format=csv")
    lines = csv.DictReader(io.StringIO(mritk("differences", three_rows, *told).out))
    assert [line["table"] for line in lines] == ["class a", "class a", "class b", "class b"]


def test_csv_names_what_tells_tables_apart_in_columns_that_hide_no_other(mritk, store):
    trials = [made_trial("a", 0.9), made_trial("b", 0.6)]
    for trial in trials:
        ages = np.resize([40.0, 60.0], len(trial.predictions["test"].id))
        texts = np.where(ages > 50, "old", "young")
        trial.predictions["test"].covariates = {"age": ages, "interval": texts, "verdict": texts}
    asked = ("differences", store(*trials), "--metric=accuracy", "--format=csv", GIVEN)

    def told(*options):
        lines = list(csv.DictReader(io.StringIO(mritk(*asked, *options).out)))
        assert {line["dataset_fingerprint"] for line in lines} == {"d" * 64}
        assert {line["verdict"] for line in lines} <= {"better", "worse", "cannot tell"}
        return lines

    assert [line["age:50"] for line in told("--by=age:50")] == ["< 50", "≥ 50"]
    assert [line["interval"] for line in told("--by=interval")] == ["old", "young"]
    assert [line["group by verdict"] for line in told("--by=verdict")] == ["old", "young"]
    assert [line["group by class"] for line in told("--by=class")] == ["a", "b"]
    assert {line["class"] for line in told("--by=class")} == {""}
    (line,) = told("--group-by=seed")
    assert line["seed"] == "0"


# -- misuse --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--across", "datasets", "--test", "mcnemar"], "is not a test across datasets"),
        (["--across", "datasets", "--baseline", "best"], "over all pairs; remove --baseline"),
        (["--rope", "1pt"], "--rope requires --test bayes"),
        (["--test", "bayes", "--rope", "wide"], "use 0.01, or 1pt"),
        (["--test", "bayes", "--rope", "-1pt"], "use 0.01, or 1pt"),
        (["--test", "mcnemar", "--metric", "mcc"], "remove --metric mcc"),
        (["--interval", "none"], "--interval none allows no test"),
        (["--metric", "acuracy"], "did you mean accuracy"),
    ],
)
def test_options_that_do_not_go_together(mritk, three_rows, arguments, said):
    ended = mritk("differences", three_rows, *arguments)
    assert ended.code == 2
    assert said in ended.err


def test_one_row_has_no_pairs(mritk, store):
    ended = mritk("differences", store(made_trial("a", 0.9)))
    assert ended.code == 2
    assert "fewer than two rows" in ended.err


def test_an_empty_folder_and_none(mritk, tmp_path):
    (tmp_path / "empty").mkdir()
    assert mritk("differences", tmp_path / "empty").code == 5
    assert "no results folder" in mritk("differences", tmp_path / "none").err


def test_data_without_patients_are_said_to_be_too_sure(mritk, store):
    folder = store(made_trial("a", 0.9, patients=False), made_trial("b", 0.6, patients=False))
    assert "p may be too small" in mritk("differences", folder, "--test", "mcnemar").out


@pytest.mark.slow
def test_it_takes_the_results_of_a_real_run(mritk, run_toy, tmp_path):
    assert run_toy("-b", "small_cnn").code == 0
    (table,) = as_json(mritk, tmp_path / "results")
    (pair,) = table["pairs"]
    assert {pair["first"], pair["second"]} == {"tiny@scratch", "small_cnn@scratch"}
    assert math.isfinite(pair["difference"])
    ended = mritk("differences", tmp_path / "results", "--test=mcnemar", "--group-by=seed")
    assert ended.code == 2
    assert "patients (or duplicate groups) and not independent" in ended.err


@pytest.mark.slow
def test_it_starts_without_torch(three_rows):
    code = (
        "import sys; from mritk.cli.main import main\n"
        f"code = main(['differences', {str(three_rows)!r}, '--test', 'delong'])\n"
        "sys.exit(9 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
