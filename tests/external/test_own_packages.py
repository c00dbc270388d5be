"""The lock of an environment names the packages that its program finds, and no others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mritk.external.environment import find_environment
from mritk.external.variables import own_variables

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="the places of packages are those of POSIX"),
]

FOUND = """
import json, sys
from importlib.metadata import distributions
sys.path[:] = filter(None, sys.path)
print(json.dumps(sorted(one.metadata["Name"] for one in distributions())))
"""


def metadata(name):
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"


def install(packages, name):
    """Write what makes a folder of packages hold one more."""
    info = packages / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(metadata(name))


def found_by_program(environment, folder):
    """Return the packages that a program finds which is started in a folder."""
    launch = environment.launch(["python", "-c", FOUND], (), {})
    ended = subprocess.run(
        launch.command,
        env={**own_variables(), **launch.variables},
        cwd=folder,
        capture_output=True,
        check=True,
    )
    return json.loads(ended.stdout)


@pytest.fixture
def wheel(tmp_path):
    """A package that uv can install without a network."""
    path = tmp_path / "own-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("own-1.0.dist-info/METADATA", metadata("own"))
        archive.writestr("own-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("own-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def nearby(tmp_path):
    """A folder with an environment, as uv looks for one."""
    folder = tmp_path / "nearby"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    (packages,) = (folder / ".venv").glob("lib/python*/site-packages")
    install(packages, "nearby")
    return folder


@pytest.mark.parametrize("named", ["by path", "by a path from here", "by a folder from here"])
def test_uv_gives_a_program_its_requirements_alone_wherever_it_runs(
    named, wheel, nearby, tmp_path, monkeypatch
):
    """Neither packages of this environment nor of one that lies near."""
    monkeypatch.delenv("UV_PYTHON", raising=False)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(nearby)
    requirement = wheel if named == "by path" else Path("..") / wheel.name
    if named == "by a folder from here":
        (nearby / "wheels").mkdir()
        requirement = shutil.copy(wheel, "wheels")
    environment = find_environment(f"uv:{requirement}", offline=True)
    lock = environment.lock()
    assert lock["packages"] == {"own": "1.0"}
    assert found_by_program(environment, nearby) == ["own"]
    assert found_by_program(environment, tmp_path) == ["own"]
    monkeypatch.chdir(tmp_path)
    assert find_environment(f"uv:{wheel}", offline=True).lock()["digest"] == lock["digest"]


def test_uv_takes_no_program_of_this_environment_for_one_of_its_own(wheel, tmp_path, monkeypatch):
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    launch = find_environment(f"uv:{wheel}", offline=True).launch(["mritk", "--version"], (), {})
    variables = {**own_variables(), **launch.variables}
    ended = subprocess.run(
        launch.command, env=variables, capture_output=True, text=True, check=False
    )
    assert ended.returncode and "mritk" in ended.stderr


def test_packages_of_the_user_are_in_the_lock_of_an_interpreter_that_finds_them(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    install(tmp_path / ".local" / "lib" / version / "site-packages", "mine")
    environment = find_environment(f"python:{sys.base_prefix}/bin/{version}")
    assert "mine" in found_by_program(environment, tmp_path)
    assert environment.lock()["packages"]["mine"] == "1.0"


@pytest.mark.parametrize("module", ["json", "email", "csv"])
def test_what_lies_in_the_folder_of_the_run_is_neither_in_a_lock_nor_imported_for_it(
    module, tmp_path, monkeypatch
):
    install(tmp_path, "here")
    (tmp_path / f"{module}.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    assert "here" not in find_environment("here").lock()["packages"]
