"""The index spares reading files and changes no table: without it, every table is the same."""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace

import pytest

from mritk.evaluate.metric import Metric
from mritk.evaluate.metrics import metrics_of
from mritk.results import trial_index
from mritk.results.analysis import Analysis
from mritk.results.kept_tables import table_key
from mritk.results.leaderboard import build_leaderboard
from mritk.results.table_trial import TableTrial
from mritk.results.trial_index import TrialIndex
from mritk.store import index_file
from mritk.store.index_file import SHARED, TABLE, TRIAL
from mritk.store.trial_file import TrialReader
from mritk.store.trial_state import TrialState, UnusableTrial
from tests.results.trial_index.conftest import MEANS, OTHER, QUICK, board_of, damage, slow, text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("analysis", "options"),
    [
        (MEANS, {}),
        (QUICK, {}),
        *slow(
            (replace(QUICK, interval="bca"), {"metrics": ["accuracy", "log_loss"]}),
            (replace(QUICK, level="patient"), {"sort": "log_loss"}),  # undefined where nobody told
            (replace(QUICK, temperature=True), {"group_by": ["seed"]}),
            (replace(MEANS, temperature=True, level="patient"), {}),
        ),
    ],
    ids=str,
)
def test_every_table_is_that_without_an_index(folder, reads, analysis, options):
    expected = text(build_leaderboard(folder.trials(), analysis=analysis, **options))
    assert text(board_of(folder, analysis, **options)) == expected, "made anew"
    reads.clear()
    assert text(board_of(folder, analysis, **options)) == expected, "from the index"
    assert not reads


ONE = "--dataset bands --protocol fast"
FINISHED = [f"{row}{seed}" for row in ("one", "two") for seed in range(3)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "read"),
    [
        (f"plot cost {ONE}", []),
        (f"plot differences {ONE}", []),
        (f"plot roc {ONE} --backbone one@", ["one0", "one1", "one2"]),
        (f"plot learning {ONE}", [*FINISHED, "two9"]),
        ("differences", []),
        ("differences --test corrected_t", [*FINISHED, "other", "slow", "two9"]),
    ],
)
def test_a_command_reads_the_trials_that_it_shows_and_no_others(
    folder, mritk, reads, tmp_path, command, read
):
    name, *options = command.split()
    output = ("-o", tmp_path / "figure.svg") if name == "plot" else ()
    kind = [options.pop(0)] if name == "plot" else []
    arguments = (name, *kind, folder.path, *options, *output, "--resamples", 100)
    first = mritk(*arguments)
    assert sorted(reads) == sorted(path.stem for path in folder.trial_files()), "each once"
    reads.clear()
    again = mritk(*arguments)
    assert (again.code, again.out) == (first.code, first.out)
    assert sorted(reads) == sorted(read)


@pytest.mark.slow
def test_a_report_reads_every_trial_and_names_one_that_was_damaged(
    folder, mritk, reads, tmp_path, monkeypatch
):
    board_of(folder)
    damage(folder, "one0", monkeypatch)
    reads.clear()
    monkeypatch.setattr("mritk.report.page.render", lambda board, *rest: f"{board.damaged}")
    page = tmp_path / "report.html"
    assert mritk("report", folder.path, "-o", page, "--interval", "none").code == 0
    assert sorted(reads) == sorted(path.stem for path in folder.trial_files())
    assert "one0.h5" in page.read_text(encoding="utf-8")


OTHERS = {
    "level": "patient",
    "resamples": 101,
    "interval": "bca",
    "temperature": True,
    "given_these_models": True,
    "by": "site",
    "ensembles": ("seeds",),
}


@pytest.mark.slow
@pytest.mark.parametrize("choice", [f.name for f in fields(Analysis) if f.name != "extra_metrics"])
def test_what_is_kept_of_a_table_is_for_one_analysis(folder, choice):
    with TrialIndex(folder) as index:
        rows = {"one": list(index.trials())}
    metrics = metrics_of(rows["one"][0].facts.task)
    other = replace(QUICK, **{choice: OTHERS[choice]})
    one, another = (table_key("evidence", rows, metrics, a) for a in (QUICK, other))
    assert one and another and one != another


@pytest.mark.slow
def test_each_file_is_read_once_for_a_table_that_is_new(folder, reads):
    board_of(folder, QUICK, ["accuracy", "ece"])
    assert sorted(reads) == sorted(path.stem for path in folder.trial_files())


@pytest.mark.slow
def test_another_question_to_trials_that_are_known_is_answered_from_their_files(folder, reads):
    board_of(folder)
    for analysis in (QUICK, replace(QUICK, resamples=200), replace(MEANS, level="patient")):
        expected = text(build_leaderboard(folder.trials(), analysis=analysis))
        assert text(board_of(folder, analysis)) == expected


@pytest.mark.slow
def test_a_table_of_another_analysis_than_the_index_was_opened_for_is_right_too(folder):
    wanted = replace(QUICK, level="patient", temperature=True)
    with TrialIndex(folder, QUICK) as index:
        trials = [t for t in index.trials() if t.facts.id != "other"]
        board = build_leaderboard(trials, analysis=wanted, kept=index)
    records = [record for record in folder.trials() if record.id != "other"]
    assert text(board) == text(build_leaderboard(records, analysis=wanted))


def test_states_are_those_without_an_index(folder, reads, monkeypatch):
    folder.trial_path("slow").write_bytes(b"torn")
    ids = [*(path.stem for path in folder.trial_files()), "absent"]
    expected = {trial_id: folder.status(trial_id) for trial_id in ids}
    board_of(folder)
    monkeypatch.setattr(
        TrialReader, "read_state", lambda self, path: reads.append(path.stem) or TrialState.TORN
    )
    reads.clear()
    assert folder.states(ids[:-1]) | {"slow": expected["slow"]} == {
        trial_id: expected[trial_id] for trial_id in ids[:-1]
    }
    assert reads == ["slow"], "what gives no trial is never noted"
    assert expected["two9"] is TrialState.FAILED


@pytest.mark.slow
def test_a_trial_that_was_written_anew_is_read_again_also_with_the_time_put_back(
    folder, make_record, reads
):
    board_of(folder, QUICK)
    path = folder.trial_path("slow")
    before = path.stat()
    folder.write(
        make_record((1, 1, 0, 0), id="slow", protocol="slow", **OTHER, notes={"parameters": 7})
    )
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    reads.clear()
    board = board_of(folder, QUICK)
    assert reads == ["slow"]
    assert text(board) == text(build_leaderboard(folder.trials(), analysis=QUICK))


@pytest.mark.slow
@pytest.mark.parametrize("ticks", [0, 1])
def test_a_file_of_the_tick_in_which_it_was_read_is_not_noted(folder, reads, monkeypatch, ticks):
    """It could be written again in that tick, and keep its stamp."""
    newest = max(max(s.st_mtime_ns, s.st_ctime_ns) for s in map(os.stat, folder.trial_files()))
    monkeypatch.setattr(trial_index, "time_of", lambda path: newest + ticks)
    board_of(folder)
    noted = {key for key in folder.index().lines if key.startswith(TRIAL)}
    assert (len(noted) == len(folder.trial_files())) is (ticks == 1)


def test_the_clock_is_that_of_the_file_system(tmp_path):
    before = index_file.time_of(tmp_path)
    (tmp_path / "file").write_bytes(b"x")
    assert before <= (tmp_path / "file").stat().st_mtime_ns <= index_file.time_of(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name != "file"]
    assert index_file.time_of(tmp_path / "absent") is None


@pytest.mark.slow
def test_a_trial_that_is_gone_leaves_the_index_with_what_only_it_had(folder):
    board_of(folder)
    before = folder.index().lines
    folder.trial_path("other").unlink()
    board_of(folder)
    gone = before.keys() - folder.index().lines.keys()
    assert f"{TRIAL}other" in gone
    assert len([key for key in gone if key.startswith(SHARED)]) == 2, "setting, audit"


@pytest.mark.slow
def test_tables_that_were_made_long_ago_are_forgotten(folder, monkeypatch):
    monkeypatch.setattr(index_file, "MOST_TABLES", 5)
    for resamples in (100, 101):
        board_of(folder, replace(QUICK, resamples=resamples))
    tables = [key for key in folder.index().lines if key.startswith(TABLE)]
    assert len(tables) == 5


@pytest.mark.slow
def test_a_file_that_was_damaged_without_being_written_is_found_by_whoever_reads_it(
    folder, mritk, monkeypatch
):
    board_of(folder)
    damage(folder, "one1", monkeypatch)
    assert not board_of(folder).damaged, "not looked at"
    assert "altered" in mritk("doctor", folder.path).out
    board = board_of(folder, QUICK)
    assert len(board.damaged) == 1
    assert text(board) == text(build_leaderboard(folder.trials(), analysis=QUICK))
    assert board_of(folder).damaged, "and not forgotten"


@pytest.mark.slow
def test_a_trial_that_is_replaced_while_a_table_is_made_is_named(folder, make_record):
    board_of(folder)
    with TrialIndex(folder, QUICK) as index:
        trials = list(index.trials())
        folder.write(make_record((1, 0, 0, 0), id="slow", protocol="slow", **OTHER))
        board = build_leaderboard(trials, analysis=QUICK, kept=index)
    assert "modified meanwhile" in board.damaged[0]
    assert len(board.tables) == 2, "the others"
    assert not board_of(folder, QUICK).damaged


@pytest.mark.slow
def test_metrics_of_plugins_are_computed_each_time(folder, reads):
    values = iter([0.25, 0.75])
    for expected in (0.25, 0.75):
        value = next(values)
        metric = Metric("ours", "ours", True, lambda t, s, w, value=value: value)
        analysis = replace(MEANS, extra_metrics=(metric,))
        board = board_of(folder, analysis, ["accuracy", "ours"])
        assert board.tables[0].rows[0].cells["ours"].mean == expected
    for interval in ("none", "percentile"):
        board_of(folder, replace(analysis, interval=interval, resamples=100), ["ours"])
    assert not [key for key in folder.index().lines if key.startswith(TABLE)]


@pytest.mark.slow
def test_files_that_no_digest_proves_are_never_noted(folder, as_schema):
    as_schema(folder.trial_path("slow"), 2)
    board = board_of(folder, QUICK)
    assert len(board.tables) == 3
    assert f"{TRIAL}slow" not in folder.index().lines
    assert text(board_of(folder, QUICK)) == text(board)


def test_a_folder_that_is_not_there_is_told_and_not_made(tmp_path, mritk):
    ended = mritk("leaderboard", tmp_path / "absent")
    assert ended.code == 2
    assert "no results folder" in ended.err
    assert not (tmp_path / "absent").exists()


@pytest.mark.slow
def test_one_dataset_or_protocol_is_shown_alone(folder, mritk, reads):
    whole = json.loads(mritk("leaderboard", folder.path, "--json", "--interval", "none").out)
    reads.clear()
    ended = mritk("leaderboard", folder.path, "--json", "--dataset", "bands", "--protocol", "slow")
    alone = json.loads(ended.out)
    assert [table["protocol"] for table in alone["tables"]] == ["slow"]
    assert len(whole["tables"]) == 3
    assert reads == ["slow"]
    none = mritk("leaderboard", folder.path, "--dataset", "nobody")
    assert none.code == 5
    assert "no trials of nobody" in none.err


def test_looking_up_tells_trials_torn_files_and_none(folder):
    folder.trial_path("slow").write_bytes(b"torn")
    with TrialIndex(folder) as index:
        found = dict(index.look_up(["one0", "slow", "absent"]))
    assert isinstance(found["one0"], TableTrial)
    assert isinstance(found["slow"], UnusableTrial)
    assert found["absent"] is None


@pytest.mark.slow
def test_a_run_with_nothing_to_do_reads_no_trial_and_prints_the_same_table(run_toy, reads):
    first = run_toy("--seeds", 2)
    reads.clear()
    again = run_toy("--seeds", 2)
    assert again.code == 0
    assert first.out == again.out
    assert not reads
