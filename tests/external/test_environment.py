"""Environments: what a text names, how it is started, and what tells it from others."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from mritk import Unavailable, UsageError
from mritk.external import Entrant, Mount, find_environment
from mritk.external.variables import device_variables

posix = pytest.mark.skipif(sys.platform == "win32", reason="uses programs for POSIX shells")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("here", "Interpreter"),
        ("/opt/env", "Interpreter"),
        ("../env:1", "Interpreter"),
        ("C:\\envs\\own", "Interpreter"),
        ("python:/opt/env/bin/python", "Interpreter"),
        ("uv:nnunetv2==2.8.1,torch<2.9", "Uv"),
        ("docker:team/entrant:1", "Container"),
        ("podman:team/entrant", "Container"),
        ("apptainer:entrant.sif", "Container"),
    ],
)
def test_a_text_names_an_environment(text, kind):
    assert type(find_environment(text)).__name__ == kind


@pytest.mark.parametrize(
    "text", ["", "conda", "conda:own", "dcoker:team/entrant:1", "docker:", "uv:", "uv:,", "python:"]
)
def test_a_text_that_names_none_is_refused_with_the_forms(text):
    with pytest.raises(UsageError, match=r"names none; write here, python:PATH"):
        find_environment(text)


def test_requirements_that_are_paths_hold_in_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mritk.external.interpreter.shutil.which", lambda name: name)
    paths = ["./own", "own/", "own @ ./own", "own[gpu]@own/a.whl"]
    others = ["own", "own>=1.2,<2", "git+https://host/own.git", "own @ git+https://host/own"]
    named = {}
    for one in (*paths, *others):
        (*_, named[one], _end) = find_environment(f"uv:{one},").launch([], (), {}).command
    assert [named[one] for one in others] == others
    home = str(tmp_path)
    wanted = [f"{home}/own", f"{home}/own", f"own @ {home}/own", f"own[gpu]@{home}/own/a.whl"]
    assert [named[one] for one in paths] == wanted


@pytest.mark.slow
def test_the_lock_of_an_interpreter_has_its_own_version_and_packages(fresh_environment):
    own = find_environment("here").lock()
    assert own["python"] == ".".join(map(str, sys.version_info[:3]))
    assert own["packages"]["numpy"] == version("numpy")
    bare = fresh_environment.parent / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    other = find_environment(str(bare)).lock()
    assert other["packages"] == {}
    assert len(other["digest"]) == 64
    assert other["digest"] != own["digest"]


def test_a_missing_interpreter_or_program_is_one_line_that_says_what_to_do(tmp_path):
    for text in (f"python:{tmp_path / 'none'}", "python:~no_user/bin/python", "~no_user/env"):
        missing = find_environment(text)
        told = r"there is no Python at .*; create one with: python -m"
        with pytest.raises(Unavailable, match=told):
            missing.lock()
    with pytest.raises(Unavailable, match=r"has no program nnUNetv2_none; install the package"):
        find_environment("here").launch(["nnUNetv2_none"], (), {})
    with pytest.raises(Unavailable, match=r"there is no program .*own.sh"):
        find_environment("here").launch([str(tmp_path / "own.sh")], (), {})


@posix
def test_an_interpreter_that_does_not_run_is_refused_with_what_it_says(tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'error while loading shared libraries' >&2\nexit 127\n")
    broken.chmod(0o755)
    with pytest.raises(Unavailable, match="does not run: error while loading shared libraries"):
        find_environment(str(broken)).lock()
    broken.write_text("#!/bin/sh\necho hello\n")
    with pytest.raises(Unavailable, match="is not a Python that runs"):
        find_environment(str(broken)).lock()


@posix
def test_a_program_that_is_no_python_is_called_so_without_the_code_it_was_given():
    with pytest.raises(Unavailable) as error:
        find_environment("python:/bin/ls").lock()
    assert str(error.value) == "/bin/ls is not a Python"


@posix
def test_paths_are_those_that_a_program_knows(tmp_path):
    file, mounts = Path("/data/in/a/t1.nii.gz"), (Mount(Path("/data/in"), "/input"),)
    assert find_environment("docker:x").path(file, mounts) == "/input/a/t1.nii.gz"
    assert find_environment("docker:x").path(Path("/data/in"), mounts) == "/input"
    assert find_environment("here").path(file, mounts) == str(file)
    with pytest.raises(ValueError, match="is not mounted"):
        find_environment("docker:x").path(tmp_path, mounts)


@posix
def test_uv_keeps_its_requirements_together_and_downloads_nothing_offline(engine):
    engine("uv")
    environment = find_environment("uv:nnunetv2==2.8.1, torch>=2.8,<2.9", offline=True)
    words = list(environment.launch(["nnUNetv2_train"], (), {}).command[1:])
    assert words[:2] == ["run", "--offline"]
    assert words[words.index("--with") :] == [
        *("--with", "nnunetv2==2.8.1", "--with", "torch>=2.8,<2.9", "--", "nnUNetv2_train")
    ]


def test_a_program_sees_one_device_of_those_that_mritk_sees():
    assert device_variables("cpu", {}) == {"CUDA_VISIBLE_DEVICES": ""}
    assert device_variables("cuda:1", {}) == {"CUDA_VISIBLE_DEVICES": "1"}
    seen = {"CUDA_VISIBLE_DEVICES": "4, 7"}
    assert device_variables("cuda:1", seen) == {"CUDA_VISIBLE_DEVICES": "7"}


@pytest.mark.slow
def test_the_lock_of_an_entrant_has_its_files_and_can_be_pinned(tmp_path):
    script = tmp_path / "own.py"
    script.write_text("print(1)")
    entrant = Entrant("own", find_environment("here"), ("python", str(script)))
    assert list(entrant.lock["files"]) == ["own.py"]
    entrant.require("")
    entrant.require(entrant.lock["digest"])
    script.write_text("print(2)")
    changed = Entrant("own", find_environment("here"), ("python", str(script)))
    with pytest.raises(Unavailable, match=r"own is not what the protocol wants: its lock has"):
        changed.require(entrant.lock["digest"])


def test_the_lock_of_a_script_has_all_that_it_can_import_from_its_folder(tmp_path):
    first = tmp_path / "first"
    for name in ("run.py", "network.py", "parts/__init__.py", "parts/deep/__init__.py", "a.txt"):
        path = first / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (first / "parts" / "deep" / "block.py").write_text("block")
    (first / "data").mkdir()
    (first / "data" / "other.py").write_text("no package")
    environment = find_environment("here")

    def files(folder):
        return environment.located(["python", str(tmp_path / folder / "run.py")])[1]

    before = files("first")
    assert sorted(before) == [
        "network.py",
        "parts/__init__.py",
        "parts/deep/__init__.py",
        "parts/deep/block.py",
        "run.py",
    ]
    first.rename(tmp_path / "moved")
    assert files("moved") == before
    (tmp_path / "moved" / "parts" / "deep" / "block.py").write_text("another block")
    assert files("moved") != before


@pytest.mark.parametrize("word", ["import os;" + "a = 1;" * 1200, "x" * 300, "~no_user/x.py"])
def test_words_that_no_file_can_have_as_its_name_are_no_files(word):
    assert find_environment("here").located(["python", "-c", word]) == (("python", "-c", word), {})
    with pytest.raises(Unavailable, match="there is no program"):
        find_environment("here").launch([f"folder/{word}"], (), {})


@pytest.mark.parametrize(
    "words",
    [
        ["python", "run.py"],
        ["python", "-u", "-Im", "missing"],
        ["python", "-m", "missing"],
        ["python", "-X", "dev", "-c", "missing"],
        ["python", "package"],
        ["python"],
        ["own.sh", "missing.py"],
        ["python", "run.py", "missing.py"],
    ],
)
@pytest.mark.parametrize("environment", ["here", "uv:numpy"])
def test_words_that_may_be_no_files_may_be_missing(words, environment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.py").touch()
    (tmp_path / "package").mkdir()
    assert len(find_environment(environment).located(words)[0]) == len(words)


@pytest.mark.parametrize(
    "words", [["python", "ext/run.py"], ["python3.11", "-u", "-OO", "ext/run.py", "more"]]
)
@pytest.mark.parametrize("environment", ["here", "uv:numpy"])
def test_a_missing_script_is_named_with_the_folder(words, environment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Unavailable) as error:
        find_environment(environment).located(words)
    assert str(error.value) == f"there is no ext/run.py in {tmp_path}"
    with pytest.raises(Unavailable) as error:
        find_environment(environment).located(["python", str(tmp_path / "run.py")])
    assert str(error.value) == f"there is no {tmp_path / 'run.py'}"
    assert find_environment("docker:box").located(words) == (tuple(words), {})


def test_files_of_one_name_are_told_apart(tmp_path):
    words = ["python"]
    for folder in "abc":
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "weights.pt"
        path.write_text(folder)
        words.append(str(path))
    environment = find_environment("here")
    located, digests = environment.located(words)
    assert list(located) == words
    assert list(digests) == ["weights.pt", "weights.pt (2)", "weights.pt (3)"]
    assert len(set(digests.values())) == 3
    (tmp_path / "c" / "weights.pt").write_text("d")
    assert environment.located(words)[1] != digests
    assert len(environment.located([*words, words[1]])[1]) == 3  # a file named twice is one
