"""``mritk leaderboard``: columns, levels, subgroups, files, and the part of a README."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from mritk.evaluate.metrics import find_metric
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import Predictions
from mritk.text.marked_file import BEGIN, END


@pytest.fixture
def results(make_record, tmp_path):
    """Three networks on 40 patients with 3 images each, of two sites; one is clearly worse."""
    folder = ResultsFolder(tmp_path / "results")
    target = np.repeat(np.arange(40) % 2, 3)
    patient = [f"p{i // 3}" for i in range(120)]
    site = ["north" if i < 60 else "south" for i in range(120)]
    names = [f"s{i}" for i in range(120)]
    for number, (backbone, right) in enumerate({"good": 0.9, "fair": 0.85, "poor": 0.5}.items()):
        for seed in (0, 1):
            rng = np.random.default_rng([number, seed])
            predicted = np.where(rng.random(120) < right, target, 1 - target)
            score = (2 * np.eye(2)[predicted] + rng.normal(size=(120, 2))).astype(np.float32)
            test = Predictions(names, patient, site, [""] * 120, target, score)
            folder.write(
                make_record(
                    id=f"{backbone}{seed}",
                    backbone=backbone,
                    seed=seed,
                    predictions={"val": test, "test": test},
                    cost={
                        "parameters": 1.5e6,
                        "flops": 2e9,
                        "latency_seconds": 0.0125,
                        "gpu_seconds": 1800.0,
                    },
                )
            )
    return folder.path


def tables(mritk, results, *options):
    ended = mritk("leaderboard", results, "--json", *options)
    assert ended.code == 0, ended.err
    return json.loads(ended.out)["tables"]


@pytest.mark.slow
def test_rows_that_cannot_be_told_apart_share_a_letter(mritk, results):
    (table,) = tables(mritk, results)
    ties = {row["backbone"]: row["tie"] for row in table["rows"]}
    assert ties == {"good": "a", "fair": "a", "poor": "b"}
    assert len(table["comparisons"]["balanced_accuracy"]) == 3
    assert 0 < table["detectable_difference"] < 0.5
    text = mritk("leaderboard", results).out
    assert "| tie" in text
    assert "do not differ significantly in balanced accuracy" in text


@pytest.mark.slow
def test_patients_are_scored_by_the_mean_of_their_probabilities(mritk, results):
    (table,) = tables(mritk, results, "--level", "patient", "--metric", "accuracy")
    assert table["level"] == "patient"
    (record,) = [r for r in ResultsFolder(results).trials() if r.id == "good0"]
    test = record.predictions["test"]
    odds = np.exp(test.score.astype(float))
    mean = (odds / odds.sum(axis=1, keepdims=True)).reshape(40, 3, 2).mean(axis=1)
    expected = (mean.argmax(axis=1) == np.arange(40) % 2).mean()
    (row,) = [r for r in table["rows"] if r["backbone"] == "good"]
    assert row["metrics"]["accuracy"]["values"][0] == pytest.approx(expected)
    assert "Patient level" in mritk("leaderboard", results, "--level", "patient").out


@pytest.mark.slow
def test_each_site_has_a_table_of_its_own(mritk, results):
    found = tables(mritk, results, "--by", "site", "--metric", "accuracy")
    assert [table["site"] for table in found] == ["north", "south"]
    assert [table["test_samples"] for table in found] == [60, 60]
    (record,) = [r for r in ResultsFolder(results).trials() if r.id == "good0"]
    test = record.predictions["test"]
    expected = find_metric("accuracy").compute(test.target[:60], test.score[:60]).value
    (row,) = [r for r in found[0]["rows"] if r["backbone"] == "good"]
    assert row["metrics"]["accuracy"]["values"][0] == pytest.approx(expected)
    ended = mritk("leaderboard", results, "--by", "source")
    assert ended.code == 2
    assert "have no source" in ended.err


@pytest.mark.slow
def test_groups_stand_below_their_table(mritk, results):
    (table,) = tables(mritk, results, "--groups", "site", "--metric", "accuracy")
    (groups,) = table["groups"]
    assert groups["patients"] == {"north": 20, "south": 20}
    by_site = tables(mritk, results, "--by", "site", "--metric", "accuracy")
    for row in groups["rows"]:
        for part in by_site:
            (same,) = [r for r in part["rows"] if r["backbone"] == row["name"]]
            found = row["groups"][part["site"]]["value"]
            assert found == pytest.approx(same["metrics"]["accuracy"]["mean"])
    assert (
        "By site: accuracy ↑"
        in mritk("leaderboard", results, "--groups", "site", "--metric", "accuracy").out
    )
    for arguments, message in (
        (("--groups", "age:40"), "no covariate 'age'; available: site"),
        (("--groups", "site", "--format", "csv"), "--groups has no csv format; use --json"),
    ):
        ended = mritk("leaderboard", results, *arguments)
        assert ended.code == 2
        assert message in ended.err


@pytest.mark.parametrize(
    "option",
    ["--groups site", "--by site", "--probe site", "--rows protocol", "--group-by seed"],
)
def test_what_has_no_meaning_for_differences_from_another_folder_is_refused(
    mritk, tmp_path, option
):
    (tmp_path / "trials").mkdir()
    ended = mritk("leaderboard", tmp_path, "--diff", tmp_path, *option.split())
    assert ended.code == 2
    assert f"--diff compares trials row by row; remove {option.split()[0]}" in ended.err


@pytest.mark.slow
def test_a_temperature_changes_calibration_and_no_decision(mritk, results):
    (plain,) = tables(mritk, results, "--metric", "accuracy", "--metric", "log_loss")
    (fitted,) = tables(
        mritk, results, "--metric", "accuracy", "--metric", "log_loss", "--temperature"
    )
    for before, after in zip(plain["rows"], fitted["rows"], strict=True):
        assert before["metrics"]["accuracy"]["mean"] == after["metrics"]["accuracy"]["mean"]
        losses = [row["metrics"]["log_loss"]["mean"] for row in (before, after)]
        assert losses[1] <= losses[0] + 1e-9, "here validation and test are the same"


@pytest.mark.slow
def test_columns_are_chosen_by_name(mritk, results):
    ended = mritk("leaderboard", results, "--columns", "flops,latency,gpu_hours,intervals")
    head = next(line for line in ended.out.splitlines() if line.startswith("| backbone"))
    assert "GFLOPs / image ↓" in head
    assert "latency (ms) ↓" in head
    assert "GPU hours ↓" in head
    assert "SD" not in head
    assert "trials" not in head
    row = next(line for line in ended.out.splitlines() if line.startswith("| good"))
    assert row.count("[") == 6, "an interval for each metric"
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[-4:-1] == ["2", "12.5", "1"], "2 GFLOPs; two trials of half an hour"
    ended = mritk("leaderboard", results, "--columns", "flop")
    assert ended.code == 2
    assert "no column 'flop'" in ended.err


@pytest.mark.slow
def test_another_metric_may_sort(mritk, results):
    (table,) = tables(mritk, results, "--sort", "log_loss")
    losses = [row["metrics"]["log_loss"]["mean"] for row in table["rows"]]
    assert losses == sorted(losses)
    assert table["sorted_by"] == "log_loss"
    assert mritk("leaderboard", results, "--sort", "mae").code == 2
    for command in ("leaderboard", "report"):
        ended = mritk(command, results, "--metric", "mcc", "--metric", "mae")
        assert "mae is no metric of classification; remove --metric mae" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_intervals_of_both_kinds_are_about_the_mean(mritk, results, interval):
    (table,) = tables(mritk, results, "--interval", interval, "--resamples", 500)
    for row in table["rows"]:
        for cell in row["metrics"].values():
            ends = cell["interval"]
            assert ends["low"] < cell["mean"] < ends["high"]
            assert ends["resamples"] == 500


@pytest.mark.slow
def test_without_intervals_there_are_neither_ties_nor_pairs(mritk, results):
    (table,) = tables(mritk, results, "--interval", "none")
    assert table["comparisons"] == {}
    assert {row["tie"] for row in table["rows"]} == {""}
    assert "[" not in mritk("leaderboard", results, "--interval", "none").out


@pytest.mark.slow
def test_parquet_holds_what_csv_holds(mritk, results, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "board.parquet"
    assert mritk("leaderboard", results, "-o", path).code == 0
    rows = parquet.read_table(path).to_pylist()
    lines = list(csv.DictReader(io.StringIO(mritk("leaderboard", results, "--format", "csv").out)))
    assert [row["backbone"] for row in rows] == [line["backbone"] for line in lines]
    for row, line in zip(rows, lines, strict=True):
        assert row["mcc_low"] == pytest.approx(float(line["mcc_low"]))
        assert row["flops"] == 2
    ended = mritk("leaderboard", results, "--format", "parquet")
    assert ended.code == 2
    assert "-o FILE.parquet" in ended.err
    lost = tmp_path / "nowhere" / "board.parquet"
    ended = mritk("leaderboard", results, "--format", "parquet", "-o", lost)
    assert f"cannot write {lost}: No such file or directory; check that its folder" in ended.err
    assert not lost.parent.exists()


@pytest.mark.slow
def test_the_part_of_a_readme_between_markers_is_renewed(mritk, results, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nof yesterday\n{END}\nafter\n")
    ended = mritk("leaderboard", results, "--update", readme)
    assert ended.code == 0
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}\n\n")
    assert text.endswith(f"\n\n{END}\nafter\n")
    assert "of yesterday" not in text
    assert mritk("leaderboard", results).out.strip() in text
    again = mritk("leaderboard", results, "--update", readme)
    assert "was up to date" in again.err
    assert readme.read_text() == text


@pytest.mark.slow
@pytest.mark.parametrize("content", ["", f"{BEGIN}", f"{END} {BEGIN}", f"{BEGIN} {BEGIN} {END}"])
def test_a_file_without_the_markers_is_left_alone(mritk, results, tmp_path, content):
    readme = tmp_path / "README.md"
    readme.write_text(content)
    ended = mritk("leaderboard", results, "--update", readme)
    assert ended.code == 2
    assert BEGIN in ended.err
    assert readme.read_text() == content
    assert mritk("leaderboard", results, "--update", tmp_path / "none.md").code == 2
    for other in (["-o", tmp_path / "t.md"], ["--format", "parquet"]):
        assert mritk("leaderboard", results, "--update", readme, *other).code == 2


@pytest.mark.slow
def test_signs_in_cells_are_explained_below(mritk, results, make_record):
    folder = ResultsFolder(results)
    (good,) = [r for r in folder.trials() if r.id == "good0"]
    selected = '{"image_size":32,"selection":{"on":"test"},"split":{"copies":"keep"}}'
    for seed, status in ((0, "finished"), (1, "failed")):
        folder.write(
            make_record(
                id=f"marked{seed}",
                seed=seed,
                status=status,
                fingerprint="9" * 64,
                protocol_json=selected,
                **({"predictions": good.predictions} if status == "finished" else {}),
                audit={
                    "split": "x",
                    "copies": "keep",
                    "clean": 100,
                    "test": 120,
                    "dropped": 0,
                    "clusters": 3,
                    "samples_in_clusters": 9,
                    "shared_with_validation": 0,
                    "audited": True,
                    "pretraining": ["figshare"],
                    "findings": [],
                },
            )
        )
    text = mritk("leaderboard", results).out
    row = next(line for line in text.splitlines() if line.startswith("| tiny"))
    assert "§†‡¶" in row
    for explained in (
        "§ Checkpoint selected on the test set",
        "† Nothing was dropped",
        "‡ The backbone was",
    ):
        assert explained in text
    assert "¶ 1 failed trial excluded" in text


def marked(newline="\n"):
    return newline.join(["before ü", BEGIN, "of yesterday", END, "after", ""]).encode()


@pytest.mark.slow
def test_a_file_with_windows_ends_of_lines_keeps_them(mritk, results, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_bytes(marked("\r\n"))
    assert mritk("leaderboard", results, "--update", readme).code == 0
    content = readme.read_bytes()
    assert content.startswith(f"before ü\r\n{BEGIN}\r\n\r\n".encode())
    assert content.count(b"\n") == content.count(b"\r\n") > 10
    assert "was up to date" in mritk("leaderboard", results, "--update", readme).err


@pytest.mark.slow
def test_a_link_stays_a_link_and_a_mode_a_mode(mritk, results, tmp_path):
    target, link = tmp_path / "target.md", tmp_path / "README.md"
    target.write_bytes(marked())
    target.chmod(0o640)
    link.symlink_to(target)
    assert mritk("leaderboard", results, "--update", link).code == 0
    assert link.is_symlink()
    assert b"of yesterday" not in target.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o640


@pytest.mark.slow
def test_a_file_of_another_encoding_is_named_and_left_alone(mritk, results, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_bytes(marked().decode().encode("latin-1"))
    ended = mritk("leaderboard", results, "--update", readme)
    assert ended.code == 2
    assert "is not UTF-8 (byte 7 is 0xfc)" in ended.err
    assert b"of yesterday" in readme.read_bytes()


def test_a_name_that_holds_a_marker_cannot_end_the_part(mritk, make_record, tmp_path):
    ResultsFolder(tmp_path / "odd").write(make_record(backbone=f"net {END}"))
    readme = tmp_path / "README.md"
    readme.write_bytes(marked())
    for style, code in (("csv", 2), ("github", 0)):
        ended = mritk("leaderboard", tmp_path / "odd", "--format", style, "--update", readme)
        assert ended.code == code, style
    assert readme.read_text(encoding="utf-8").count(END) == 1


@pytest.mark.slow
def test_ensembles_are_rows_of_leaderboard_and_differences(mritk, results):
    (table,) = tables(mritk, results, "--ensemble", "seeds", "--ensemble", "backbones")
    names = {row["backbone"] for row in table["rows"]}
    made = {"good ×2 seeds", "fair ×2 seeds", "poor ×2 seeds", "ensemble of 3 rows"}
    assert names == {"good", "fair", "poor"} | made
    row = next(row for row in table["rows"] if row["backbone"] == "good ×2 seeds")
    assert row["cost"]["gpu_hours"] == 1.0
    told = json.loads(mritk("differences", results, "--json", "--ensemble", "seeds").out)
    assert len(told["tables"][0]["pairs"]) == 15
    ended = mritk("leaderboard", results, "--ensemble", "folds")
    assert ended.code == 2
    assert "No ensemble of folds: no row has two folds." in ended.err
    ended = mritk("leaderboard", results, "--ensemble", "greedy", "--groups", "site")
    assert "greedy ensemble" in ended.out
