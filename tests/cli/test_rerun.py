"""``mritk rerun``: a stored trial comes out again, or the program says why it cannot."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from mritk.cli.app import App
from mritk.cli.stored_command import benchmark_of, request_of
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import read_trial, write_trial


@pytest.fixture
def stored(run_toy, tmp_path, monkeypatch):
    """A trial that ``mritk run`` made, with the command line that made it."""
    folder = tmp_path / "results"
    command = ["mritk", "run", "-p", str(tmp_path / "toy.py"), "-b", "tiny", "-d", "bands"]
    command += ["--protocol", str(tmp_path / "fast.toml"), "-o", str(folder), "--device", "cpu"]
    monkeypatch.setattr("sys.argv", [*command, "--seeds", "2"])
    assert run_toy("--seeds", 2).code == 0
    return sorted((folder / "trials").glob("*.h5"))[0]


@pytest.mark.slow
def test_the_same_machine_gives_the_same_trial_bit_for_bit(mritk, stored, tmp_path):
    before = stored.read_bytes()
    ended = mritk("rerun", stored, "--trust", "--keep", tmp_path / "again", "--device", "cpu")
    assert ended.code == 0, ended.err
    assert "Bit-identical." in ended.out
    assert "balanced_accuracy" in ended.out
    assert stored.read_bytes() == before
    (again,) = ResultsFolder(tmp_path / "again").trials()
    assert again.id == stored.stem


@pytest.mark.slow
def test_a_trial_that_another_process_has_trained_again_meanwhile_is_compared(
    mritk, stored, tmp_path, monkeypatch
):
    again = ("rerun", stored, "--trust", "--keep", tmp_path / "again", "--device", "cpu")
    assert mritk(*again).code == 0
    monkeypatch.setattr("mritk.execute.serial.finished_meanwhile", lambda *_: True)
    ended = mritk(*again)
    assert ended.code == 0, ended.err
    assert "Bit-identical." in ended.out


@pytest.mark.slow
def test_it_is_trained_with_as_many_threads_as_before(mritk, stored, monkeypatch):
    """Their number changes scores by rounding, and follows from how many trials ran at once."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    record = read_trial(stored)
    record.provenance["machine"]["threads"] = 3
    write_trial(record, stored)
    asked = []
    monkeypatch.setattr("mritk.machine.threads.torch.set_num_threads", asked.append)
    assert mritk("rerun", stored, "--trust", "--device", "cpu").code == 0
    assert asked == [3]


@pytest.mark.slow
def test_a_trial_whose_scores_were_others_is_found_out(mritk, stored):
    """Forged and sealed anew; only training it again tells."""
    record = read_trial(stored)
    record.predictions["test"].score[:, 0] += 3
    write_trial(record, stored)
    ended = mritk("rerun", stored, "--trust", "--device", "cpu", "--json")
    assert ended.code == 1
    data = json.loads(ended.out)
    assert data["largest"] == pytest.approx(3, abs=1e-4)
    assert not data["equal"]
    assert data["file"] is None, "it went with its temporary folder"
    assert mritk("rerun", stored, "--trust", "--device", "cpu", "--tolerance", 4).code == 0


@pytest.mark.slow
def test_a_changed_protocol_is_told_by_its_fields(mritk, stored, tmp_path):
    protocol = tmp_path / "fast.toml"
    protocol.write_text(protocol.read_text().replace("epochs = 2", "epochs = 1"))
    ended = mritk("rerun", stored, "--trust", "--device", "cpu")
    assert ended.code == 4
    assert "parameters.stages[1].epochs: 2 | 1" in ended.err


@pytest.fixture
def varied(run_toy, mritk, tmp_path, monkeypatch):
    """Rerun the trial of one of two variants of a protocol, which has changed since."""
    command = ["mritk", "run", "-p", str(tmp_path / "toy.py"), "-b", "tiny", "-d", "bands"]
    command += ["--protocol", str(tmp_path / "fast.toml"), "--seeds", "1", "--device", "cpu"]
    vary = ["--vary", "split.shots=4,8"]
    monkeypatch.setattr("sys.argv", [*command, *vary])
    assert run_toy("--seeds", 1, *vary).code == 0
    trials = {t.protocol: t for t in ResultsFolder(tmp_path / "results").trials()}
    protocol = tmp_path / "fast.toml"
    protocol.write_text(protocol.read_text().replace("epochs = 2", "epochs = 1"))

    def rerun(shots, name="fast", shown=("4", "8")):
        record = trials[f"fast[shots={shots}]"]
        words = [*command, "--vary", f"split.shots={','.join(shown)}"]
        record.provenance["command"] = [w.replace("fast.toml", f"{name}.toml") for w in words]
        protocol.with_name(f"{name}.toml").write_text(protocol.read_text())
        write_trial(record, tmp_path / "one.h5")
        return mritk("rerun", tmp_path / "one.h5", "--trust", "--device", "cpu")

    return rerun


@pytest.mark.slow
def test_of_a_changed_study_only_the_variant_of_the_trial_is_compared(varied):
    changed = "the protocol differs in parameters.stages[1].epochs: 2 | 1"
    (line,) = [text for text in varied(8).err.splitlines() if "cannot be reproduced" in text]
    assert line.endswith(f"cannot be reproduced: tiny@scratch on bands seed 0: {changed}")
    renamed = varied(8, "other", ("8", "6")).err
    assert f"seed 0: {changed}; or tiny@scratch on bands seed 0: {changed}" in renamed
    assert "split.shots: 8 | 6" in renamed


@pytest.mark.slow
def test_changed_data_are_told(mritk, stored, tmp_path):
    toy = tmp_path / "toy.py"
    toy.write_text(toy.read_text().replace("default_rng(0)", "default_rng(1)"))
    ended = mritk("rerun", stored, "--trust", "--device", "cpu")
    assert ended.code == 4
    assert "the data have changed" in ended.err


@pytest.mark.slow
def test_a_trial_without_a_command_cannot_be_repeated(mritk, stored):
    record = read_trial(stored)
    record.provenance["command"] = ["pytest"]
    write_trial(record, stored)
    ended = mritk("rerun", stored, "--trust")
    assert ended.code == 4
    assert "does not contain its 'mritk run' command" in ended.err
    record.provenance["command"] = ["mritk", "run", "--no-such-option"]
    write_trial(record, stored)
    ended = mritk("rerun", stored, "--trust")
    assert ended.code == 4
    assert "--no-such-option" in ended.err


def test_a_command_with_a_backbone_that_its_protocol_does_not_take_still_stands(mritk, stored):
    """It is refused where a person types it: mritk took it once, and nobody edits a trial file."""
    record = read_trial(stored)
    words = ["mritk", "run", "-b", "small_cnn", "-d", "phantom3d", "--protocol", "threshold"]
    record.provenance["command"] = words
    write_trial(record, stored)
    request = request_of(App(), record, "rerunning", trust=True)
    assert benchmark_of(request, None).protocols == ("threshold",)


def test_results_were_called_as_this_system_can_call_none(make_record):
    """``-o Köpfe`` where names of files are ASCII; here, half a character is no name of a file."""
    with pytest.raises(UnicodeEncodeError):
        Path("\ud800").stat()
    command = ["mritk", "run", "-d", "phantom", "-o", "\ud800/results"]
    record = make_record(provenance={"command": command})
    request = request_of(App(), record, "rerunning", trust=True)
    assert benchmark_of(request, None).datasets == ("phantom",)


def test_an_unknown_trial_is_a_usage_error(mritk, tmp_path):
    assert mritk("rerun", "abc", "--results", tmp_path).code == 2


@pytest.mark.slow
def test_a_plugin_that_the_trial_file_names_is_not_executed_unasked(mritk, stored, tmp_path):
    """The file may be anybody's, and so may the folder around it."""
    toy, executed = tmp_path / "toy.py", tmp_path / "executed"
    toy.write_text(f"open({str(executed)!r}, 'w')\n{toy.read_text()}")
    ended = mritk("rerun", stored, "--device", "cpu")
    assert ended.code == 2
    assert f"would execute code named in its file: {toy}" in ended.err
    assert f"add --trust, or load it with -p {toy}" in ended.err
    assert not executed.exists()


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2)])
def test_a_person_is_asked(mritk, stored, monkeypatch, answer, code):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert mritk("rerun", stored, "--device", "cpu").code == code


@pytest.mark.slow
def test_where_stdin_is_closed_nobody_is_asked(mritk, stored, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    ended = mritk("rerun", stored, "--device", "cpu")
    assert ended.code == 2
    assert "add --trust, or load it with -p" in ended.err


@pytest.mark.slow
def test_who_names_the_plugin_is_not_asked(mritk, stored, tmp_path):
    assert mritk("rerun", stored, "-p", tmp_path / "toy.py", "--device", "cpu").code == 0


@pytest.mark.slow
def test_a_command_typed_in_another_folder_is_told_by_the_files_that_are_not_here(
    mritk, stored, tmp_path, monkeypatch
):
    record = read_trial(stored)
    words = record.provenance["command"]
    names = {str(tmp_path / name): f"./{name}" for name in ("toy.py", "fast.toml")}
    record.provenance["command"] = [names.get(word, word) for word in words]
    write_trial(record, stored)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    ended = mritk("rerun", stored, "--trust", "--device", "cpu")
    assert ended.code == 4
    assert "names ./toy.py, ./fast.toml, and no such file is here" in ended.err
    (elsewhere / "fast.toml").write_text((tmp_path / "fast.toml").read_text())
    ended = mritk("rerun", stored, "-p", tmp_path / "toy.py", "--device", "cpu")
    assert ended.code == 0, ended.err
    monkeypatch.chdir(tmp_path)
    assert mritk("rerun", stored, "-p", tmp_path / "toy.py", "--device", "cpu").code == 0
