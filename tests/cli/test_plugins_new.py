"""``mritk plugins new``: the package that it writes installs, passes its tests and is used."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mritk.cli.plugins_new import USE, NewPackage
from mritk.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KINDS = list(USE)


@pytest.mark.parametrize("text", ["wide-net", "wide_net", "mritk-wide-net", "Mritk_Wide_Net"])
def test_a_name_may_be_written_in_many_ways(text):
    package = NewPackage.of(text, ["backbone"])
    (plugin,) = package.plugins
    assert (plugin.name, plugin.module, package.distribution) == (
        "wide_net",
        "mritk_wide_net",
        "mritk-wide-net",
    )


@pytest.mark.parametrize("text", ["", "2d", "a b", "class", "../x", "mritk-", "naïve", "a.b"])
def test_what_cannot_be_a_module_is_refused(text):
    with pytest.raises(UsageError, match="is not a valid plugin name"):
        NewPackage.of(text, ["backbone"])


@pytest.fixture
def new(mritk, tmp_path):
    """Write a package of a kind and return its folder."""

    def write(kind, name="mine"):
        ended = mritk("plugins", "new", name, "--kind", kind, "-o", tmp_path)
        assert ended.code == 0, ended.err
        return tmp_path / NewPackage.of(name, [kind]).distribution

    return write


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_complete_and_clean(new, kind):
    folder = new(kind)
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert files == [
        ".github/workflows/test.yml",
        ".gitignore",
        "README.md",
        "mritk_mine.py",
        "pyproject.toml",
        "tests/test_mine.py",
    ]
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "mritk-mine"
    assert project["entry-points"]["mritk"] == {"mine": "mritk_mine"}
    left = [p for p in folder.rglob("*") if p.is_file() and "$" in _without_actions(p)]
    assert left == [], "no placeholder is left"
    for command in (["check", "--select", "E,F,W,I,B,UP"], ["format", "--check"]):
        options = [*command, "--isolated", "--line-length", "100", "."]
        subprocess.run([sys.executable, "-m", "ruff", *options], check=True, cwd=folder)


def _without_actions(path: Path) -> str:
    return path.read_text().replace("${{ matrix.python }}", "")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_keeps_every_promise_as_one_file(new, mritk, kind):
    module = new(kind) / "mritk_mine.py"
    ended = mritk("plugins", "check", "-p", module, "mritk_mine")
    assert ended.code == 0, ended.out
    assert " 0 failed" in ended.out


def test_several_kinds_are_plugins_of_one_package(mritk, tmp_path):
    ended = mritk(
        *("plugins", "new", "lab", "--kind", "augmentation", "--kind", "metric", "-o", tmp_path),
    )
    assert ended.code == 0, ended.err
    assert "mritk plugins check lab_augmentation lab_metric" in ended.out
    folder = tmp_path / "mritk-lab"
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["mritk"] == {
        "lab_augmentation": "mritk_lab_augmentation",
        "lab_metric": "mritk_lab_metric",
    }
    modules = project["tool"]["setuptools"]["py-modules"]
    assert modules == ["mritk_lab_augmentation", "mritk_lab_metric"]
    assert "an augmentation and a metric" in (folder / "README.md").read_text()
    loading = [word for module in modules for word in ("-p", folder / f"{module}.py")]
    ended = mritk("plugins", "check", *loading, "lab_augmentation", "lab_metric")
    assert ended.code == 0, ended.out
    names = sorted(path.name for path in (folder / "tests").iterdir())
    assert names == ["test_lab_augmentation.py", "test_lab_metric.py"]


def test_a_folder_that_cannot_be_written_is_told_in_one_line_and_left_as_it_was(
    mritk, tmp_path, monkeypatch
):
    def refuse(self, *arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "write_text", refuse)
    ended = mritk("plugins", "new", "mine", "--kind", "metric", "-o", tmp_path)
    assert ended.code == 2
    assert re.fullmatch(r"mritk: cannot use \S+: Read-only file system\n", ended.err)
    assert list(tmp_path.iterdir()) == []


def test_says_what_to_type_next(mritk, tmp_path):
    ended = mritk("plugins", "new", "mine", "--kind", "backbone", "-o", tmp_path)
    assert f"python -m pip install -e '{tmp_path / 'mritk-mine'}[test]'" in ended.out
    assert "mritk plugins check mine" in ended.out
    assert "mritk run -b mine" in ended.out


def test_nothing_is_overwritten(new, mritk, tmp_path):
    folder = new("metric")
    (folder / "mritk_mine.py").write_text("changed")
    ended = mritk("plugins", "new", "mine", "--kind", "backbone", "-o", tmp_path)
    assert ended.code == 2
    assert "already exists" in ended.err
    assert (folder / "mritk_mine.py").read_text() == "changed"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["small-cnn", "--kind", "backbone"],
            "a plugin small_cnn already exists, from mritk-bench",
        ),
        (["timm", "--kind", "backbone", "-p", "no:timm"], "a plugin timm already exists"),
        (["accuracy", "--kind", "metric"], "the metric accuracy already exists"),
        (["resnet18", "--kind", "backbone"], "the backbone resnet18 already exists"),
        (["flip", "--kind", "augmentation"], "the augmentation flip already exists"),
        (["quick", "--kind", "method"], "the method quick already exists"),
        (["compare", "--kind", "command"], "the command compare already exists"),
        (["mine"], "Missing option '--kind'"),
        (["mine", "--kind", "protocol"], "'protocol' is not one of 'backbone'"),
        (["2d", "--kind", "backbone"], "is not a valid plugin name"),
    ],
)
def test_mistakes_are_explained(mritk, tmp_path, arguments, text):
    ended = mritk("plugins", "new", *arguments, "-o", tmp_path)
    assert ended.code == 2
    assert text in ended.err
    assert list(tmp_path.iterdir()) == []


# -- in an environment of its own ------------------------------------------------------------------

FAST = """
method = "finetune"
image_size = 32
augmentation = "my_augmentation"

[[parameters.stages]]
name = "all"
epochs = 1
"""


# One with a plugin of a single kind, and one with plugins of all the others.
PACKAGES = (NewPackage.of(f"my-{KINDS[0]}", KINDS[:1]), NewPackage.of("my", KINDS[1:]))


@pytest.fixture(scope="module")
def environment(fresh_environment, tmp_path_factory):
    """A folder with two packages that have every kind, installed into a fresh environment."""
    root = tmp_path_factory.mktemp("strangers")
    packages = [root / package.distribution for package in PACKAGES]
    for package, folder in zip(PACKAGES, packages, strict=True):
        package.write(folder)
    python = fresh_environment / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", *packages],
        check=True,
    )
    (root / "fast.toml").write_text(FAST)
    return root


@pytest.fixture
def call(environment, fresh_environment, tmp_path):
    """Run a module of the environment outside this repository."""

    def run(*arguments):
        return subprocess.run(
            [fresh_environment / "bin" / "python", "-m", *map(str, arguments)],
            cwd=environment,
            env=os.environ | {"MRITK_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.slow
def test_installed_plugins_pass_their_own_tests(call, environment):
    folders = [environment / package.distribution for package in PACKAGES]
    ended = call("pytest", "-q", "-p", "no:cacheprovider", *folders)
    assert ended.returncode == 0, ended.stdout
    assert f"{3 * len(KINDS)} passed" in ended.stdout


@pytest.mark.slow
def test_installed_plugins_are_listed_and_used_together_in_a_run(call, environment):
    rows = {row["plugin"]: row for row in json.loads(call("mritk", "plugins", "--json").stdout)}
    for package in PACKAGES:
        for plugin in package.plugins:
            row = rows[plugin.name]
            assert (row["state"], row["distribution"]) == ("loaded", package.distribution)
    protocols = ("--protocol", "fast.toml", "--protocol", "my_method")
    data = ("-d", "my_dataset", "--seeds", 1, "--device", "cpu", "-o", "results")
    ended = call("mritk", "run", *data, "-b", "my_backbone", *protocols)
    assert ended.returncode == 0, ended.stderr
    (trained,) = (line for line in ended.stdout.splitlines() if "| my_backbone@scratch" in line)
    assert "my_augmentation" in trained
    assert "| my_method" in ended.stdout
    ended = call("mritk", "leaderboard", "results", "--metric", "my_metric", "--metric", "accuracy")
    assert "top-2 accuracy" in ended.stdout
    assert "with two classes it is always 1" in ended.stdout
