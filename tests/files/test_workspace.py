"""The workspace: where mritk keeps its files, and whether it may use the network."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from mritk import Workspace
from mritk.errors import UsageError


def test_mritk_home_is_the_home(tmp_path):
    assert Workspace.from_environment({"MRITK_HOME": str(tmp_path)}).home == tmp_path


def test_a_tilde_is_the_home_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Workspace.from_environment({"MRITK_HOME": "~/mri"}).home == tmp_path / "mri"


def test_folders_may_be_given_as_text(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    workspace = Workspace(f"{tmp_path}/home", scratch="~/fast")
    assert workspace.folder("decoded") == tmp_path / "home" / "decoded"
    assert workspace.near("decoded") == tmp_path / "fast" / "decoded"
    assert workspace == Workspace(tmp_path / "home", scratch=tmp_path / "fast")
    with pytest.raises(TypeError):
        Workspace(None)


def test_a_tilde_with_an_unknown_user_stays():
    environ = {"MRITK_HOME": "~no_user/mri", "MRITK_SCRATCH": "~no_user/fast"}
    found = Workspace.from_environment(environ)
    assert (found.home, found.scratch) == (Path("~no_user/mri"), Path("~no_user/fast"))


@pytest.mark.parametrize("environ", [{}, {"MRITK_HOME": ""}])
def test_the_cache_folder_of_the_platform_is_the_default(environ):
    assert Workspace.from_environment(environ).home == platformdirs.user_cache_path("mritk")


def test_the_environment_of_the_process_is_read_by_default(own_home):
    assert Workspace.from_environment().home == own_home


@pytest.mark.parametrize("word", ["1", "true", "TRUE", "yes", "On"])
@pytest.mark.parametrize("name", ["MRITK_OFFLINE", "HF_HUB_OFFLINE"])
def test_the_network_is_switched_off_by(name, word):
    assert Workspace.from_environment({name: word}).offline


@pytest.mark.parametrize("word", ["", "0", "false", "no", "off"])
def test_the_network_is_not_switched_off_by(word):
    environ = {"MRITK_OFFLINE": word, "HF_HUB_OFFLINE": word}
    assert not Workspace.from_environment(environ).offline


def test_an_option_switches_the_network_off_regardless_of_the_environment():
    assert Workspace.from_environment({"MRITK_OFFLINE": "0"}, offline=True).offline
    assert not Workspace.from_environment({}).offline


def test_a_folder_is_made_when_it_is_asked_for(tmp_path):
    workspace = Workspace(tmp_path / "home")
    assert not workspace.home.exists()
    assert workspace.folder("decoded", "v1") == tmp_path / "home" / "decoded" / "v1"
    assert (tmp_path / "home" / "decoded" / "v1").is_dir()
    assert workspace.folder("decoded", "v1").is_dir(), "twice is no error"
    assert workspace.folder() == Path(workspace.home)


def test_a_machine_may_have_a_disk_of_its_own(tmp_path):
    environ = {"MRITK_HOME": str(tmp_path / "home"), "MRITK_SCRATCH": str(tmp_path / "own")}
    workspace = Workspace.from_environment(environ)
    assert workspace.near("decoded") == tmp_path / "own" / "decoded"
    assert workspace.near("decoded").is_dir()
    assert Workspace.from_environment({"MRITK_HOME": str(tmp_path)}).near("decoded") is None


def test_a_disk_of_its_own_that_cannot_be_used_is_told_with_its_variable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="set MRITK_SCRATCH to a writable folder"):
        Workspace(tmp_path, scratch=tmp_path / "file").near("decoded")
