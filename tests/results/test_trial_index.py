"""The index spares reading files and changes no table: without it, every table is the same."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from mritk.errors import StoreError
from mritk.evaluate.metric import Metric
from mritk.evaluate.metrics import metrics_of
from mritk.results import trial_index
from mritk.results.analysis import Analysis
from mritk.results.formats import as_data, format_leaderboard
from mritk.results.kept_tables import table_key
from mritk.results.leaderboard import build_leaderboard
from mritk.results.table_trial import TableTrial
from mritk.results.trial_index import TrialIndex
from mritk.store import folder as folder_module
from mritk.store import index_file
from mritk.store.folder import ResultsFolder
from mritk.store.index_file import INDEX, SHARED, TABLE, TRIAL, IndexFile
from mritk.store.trial_file import TrialReader
from mritk.store.trial_state import TrialState, UnusableTrial

MEANS = Analysis(interval="none")
QUICK = Analysis(resamples=100)
VERDICT = {"copies": "drop", "clean": 3, "test": 4, "dropped": 1, "unused": 0, "clusters": 1}
VERDICT |= {"shared_with_validation": 0, "audited": True, "findings": [], "split": "5" * 64}
VERDICT |= {"samples_in_clusters": 2, "pretraining": ["radimagenet"]}


def slow(*cases):
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        for case in cases
    ]


# A protocol that divides the samples otherwise, so that its trials have a table of their own.
OTHER = {"fingerprint": "5" * 64, "protocol_json": '{"split":{"seed":1}}'}


@pytest.fixture
def folder(make_record, tmp_path):
    """Two rows of three trials each, of which one failed; another dataset, another protocol."""
    folder = ResultsFolder(tmp_path / "results")
    rng = np.random.default_rng(0)
    for seed in range(3):
        for backbone in ("one@scratch", "two@scratch"):
            record = make_record(id=f"{backbone[:3]}{seed}", backbone=backbone, seed=seed)
            for part in record.predictions.values():
                part.score = rng.normal(size=part.score.shape).astype(np.float32)
            record.predictions["test"].clean = np.asarray([True, True, True, seed > 0])
            record.audit = VERDICT
            folder.write(record)
    folder.write(make_record(id="two9", backbone="two@scratch", seed=9, status="failed"))
    folder.write(make_record(id="other", dataset="rings", patients=False, cost={}))
    folder.write(make_record(id="slow", protocol="slow", **OTHER, notes={"parameters": 7}))
    written = folder.trial_path("slow").stat().st_ctime_ns
    while index_file.time_of(tmp_path) <= written:  # clocks of file systems tick slowly
        pass
    return folder


@pytest.fixture
def reads(monkeypatch):
    """The names of the trial files that are read from here on."""
    names, real = [], TrialReader.read

    def read(self, path):
        names.append(path.stem)
        return real(self, path)

    monkeypatch.setattr(TrialReader, "read", read)
    return names


def board_of(folder, analysis=MEANS, metrics=(), **options):
    with TrialIndex(folder, analysis, metrics) as index:
        return build_leaderboard(
            index.trials(), analysis=analysis, metrics=metrics, kept=index, **options
        )


def text(board):
    """All that a table shows and rests on."""
    compared = {
        k: [repr(c) for c in found] for t in board.tables for k, found in t.comparisons.items()
    }
    return json.dumps([as_data(board), format_leaderboard(board, "github"), compared], default=str)


def damage(folder, trial_id, monkeypatch):
    """Change a byte as a failing disk does: nobody wrote, so the stamp of the file is the same."""
    path = folder.trial_path(trial_id)
    real, stamp = index_file.stamp_of, index_file.stamp_of(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for module in (index_file, trial_index, folder_module):
        monkeypatch.setattr(module, "stamp_of", lambda p: stamp if Path(p) == path else real(p))


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


def cross_validated(folder, make_record, *, without=(), failed=(), folds_of_one_class=()):
    """Store two rows of two seeds with two folds each; only row ``one`` lacks trials."""
    rng = np.random.default_rng(3)
    for backbone, seed, fold in product(("one", "two"), range(2), range(2)):
        name = f"{backbone}{seed}{fold}"
        record = make_record(id=name, backbone=backbone, seed=seed, fold=fold, folds=2)
        test = record.predictions["test"]
        test.id = [f"{fold}{id_}" for id_ in test.id]
        test.patient = [f"{id_}p" for id_ in test.id]
        test.score = rng.normal(size=test.score.shape).astype(np.float32)
        test.clean = np.asarray([True, True, fold > 0, True])
        if fold in folds_of_one_class:
            test.target = np.zeros(4, dtype=np.int64)
        if name in failed:
            record = make_record(
                id=name, backbone=backbone, seed=seed, fold=fold, folds=2, status="failed"
            )
        if name not in without:
            folder.write(record)
    written = max(path.stat().st_ctime_ns for path in folder.trial_files())
    while index_file.time_of(folder.path) <= written:
        pass


LACKING = {
    "an incomplete seed": {"without": ["one11"]},
    "no whole seed": {"without": ["one01", "one11"]},
    "failed trials": {"failed": ["one00", "two11"]},
    "a row that failed": {"failed": ["one00", "one01", "one10", "one11"]},
    "a fold without a class": {"folds_of_one_class": [1]},
    "no fold with a class": {"folds_of_one_class": [0, 1], "without": ["one11"]},
}


@pytest.mark.slow
@pytest.mark.parametrize("lacking", LACKING.values(), ids=LACKING)
def test_tables_that_lack_something_are_those_without_an_index(
    make_record, tmp_path, reads, lacking
):
    folder = ResultsFolder(tmp_path / "results")
    cross_validated(folder, make_record, **lacking)
    columns = {"metrics": ["balanced_accuracy", "accuracy"]}
    few = Analysis(resamples=20)
    for analysis in (MEANS, few, replace(few, given_these_models=True)):
        expected = text(build_leaderboard(folder.trials(), analysis=analysis, **columns))
        assert text(board_of(folder, analysis, **columns)) == expected, "made anew"
        reads.clear()
        assert text(board_of(folder, analysis, **columns)) == expected, "from the index"
        assert not reads


@pytest.mark.slow
def test_what_is_lacking_is_told_from_the_index_too(make_record, tmp_path):
    folder = ResultsFolder(tmp_path / "results")
    cross_validated(folder, make_record, without=["one11"], folds_of_one_class=[1])
    for _ in range(2):
        board = board_of(folder)
        assert "one: seed 1 lacks fold 1, and is excluded" in "".join(board.tables[0].warnings)
        one = next(row for row in board.tables[0].rows if row.name == "one")
        assert one.cells["balanced_accuracy"].over_runs is not None
        assert one.trials == 2


@pytest.mark.slow
def test_a_trial_that_makes_a_seed_whole_changes_the_table(make_record, tmp_path):
    folder = ResultsFolder(tmp_path / "results")
    cross_validated(folder, make_record, without=["one11"], folds_of_one_class=[1])
    before = text(board_of(folder))
    cross_validated(folder, make_record, folds_of_one_class=[1])
    after = text(board_of(folder))
    assert after == text(build_leaderboard(folder.trials(), analysis=MEANS)) != before


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


def torn(path):
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path):
    content = bytearray(path.read_bytes())
    content[content.index(b'"finished"') + 3] ^= 1
    path.write_bytes(content)


def of_another_version(path):
    path.write_bytes(path.read_bytes().replace(b"mritk index 1 ", b"mritk index 2 ", 1))


def foreign(path):
    path.write_bytes(os.urandom(1000))


def a_folder(path):
    path.unlink()
    path.mkdir()


def empty(path):
    path.write_bytes(b"")


def lost(path):
    path.unlink()


def sealed_nonsense(path):
    file = IndexFile.read(path)
    for number, key in enumerate(file.lines):
        file.lines[key] = (b"[]", b"7", b"{", b'[[1,2,3,4],"x"]')[number % 4]
    file.write()
    assert IndexFile.read(path).lines


def sealed_depths(path):
    file = IndexFile.read(path)
    file.lines = dict.fromkeys(file.lines, b"[" * 100_000)
    file.write()


def sealed_bytes(path):
    head = path.read_bytes().splitlines(keepends=True)[0]
    body = head + b"no tab\n\xff\xfe\t[]\n"
    path.write_bytes(body + f"sha256 {hashlib.sha256(body).hexdigest()}\n".encode())


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoil",
    [
        *(lost, torn, sealed_nonsense),
        *slow(flipped, of_another_version, foreign, empty, a_folder, sealed_depths, sealed_bytes),
    ],
)
def test_an_index_that_is_not_whole_is_passed_over_and_made_anew(folder, reads, spoil):
    expected = text(build_leaderboard(folder.trials(), analysis=QUICK))
    board_of(folder, QUICK)
    spoil(folder.path / INDEX)
    assert folder.status("one0") is folder.states(["one0"])["one0"] is TrialState.FINISHED
    assert text(board_of(folder, QUICK)) == expected
    reads.clear()
    assert text(board_of(folder, QUICK)) == expected
    assert not reads or spoil is a_folder, "it is whole again"


@pytest.mark.slow
def test_what_other_code_noted_is_not_believed(folder, reads, monkeypatch):
    board_of(folder, QUICK)
    monkeypatch.setattr(index_file, "code_at_work", lambda: "0" * 32)
    assert not folder.index().lines
    reads.clear()
    board_of(folder, QUICK)
    assert len(reads) == len(folder.trial_files())


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
def test_of_several_writers_the_last_one_stays_whole(folder):
    expected = text(build_leaderboard(folder.trials(), analysis=MEANS))

    def write(number):
        if number % 2:
            (folder.path / INDEX).unlink(missing_ok=True)
        return text(board_of(folder))

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(write, range(12))) == {expected}
    assert text(board_of(folder)) == expected
    assert [path.name for path in folder.path.iterdir() if path.is_file()] == [INDEX]


@pytest.mark.slow
def test_what_two_saw_at_once_is_lost_but_for_the_last_and_read_again(folder, reads):
    with TrialIndex(folder) as one, TrialIndex(folder) as other:
        _ = dict(one.look_up(["one0", "one1"]))
        _ = dict(other.look_up(["two0"]))
    noted = {key for key in folder.index().lines if key.startswith(TRIAL)}
    assert noted == {f"{TRIAL}one0", f"{TRIAL}one1"}
    reads.clear()
    board_of(folder)
    assert "one0" not in reads
    assert "two0" in reads


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


@pytest.mark.slow
def test_where_nothing_can_be_written_tables_are_shown_all_the_same(folder, monkeypatch):
    def refuse(*arguments, **options):
        raise StoreError("read-only")

    monkeypatch.setattr(index_file, "write_whole", refuse)
    assert len(board_of(folder).tables) == 3
    assert not (folder.path / INDEX).exists()
    monkeypatch.undo()
    monkeypatch.setattr(trial_index, "time_of", lambda path: None)
    assert len(board_of(folder).tables) == 3
    assert not (folder.path / INDEX).exists()


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


@pytest.mark.slow
def test_an_index_that_came_with_a_folder_says_nothing(folder, reads, tmp_path):
    """Its seal is right, and its numbers are made up; the files are those that it was made for."""
    expected = text(build_leaderboard(folder.trials(), analysis=QUICK))
    board_of(folder, QUICK)
    index = folder.index()
    index.lines = {
        key: re.sub(rb"0\.\d+", b"0.999", value).replace(b"radimagenet", b"nothing")
        for key, value in index.lines.items()
    }
    index.write()
    assert text(board_of(folder, QUICK)) != expected, "whoever can write here can seal"
    shutil.copytree(folder.path, tmp_path / "copy")  # with their times
    copy = ResultsFolder(tmp_path / "copy")
    for _ in range(2):
        assert text(board_of(copy, QUICK)) == expected


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
