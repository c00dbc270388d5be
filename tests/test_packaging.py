"""A plugin installed by pip adds a backbone, a dataset and an augmentation that ``run`` can use."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

AUGMENTATION = """

@hookimpl
def mritk_augmentations():
    from mritk import Augmentation

    yield Augmentation("darker", lambda images, generator: images * 0.5)
"""


@pytest.mark.slow
def test_a_pip_installed_plugin_and_a_file_are_equally_good(
    mritk, tmp_path, toy, fast_protocol, monkeypatch
):
    source = toy.read_text().replace('"tiny"', '"acme_tiny"').replace('"bands"', '"acme_bands"')
    package = tmp_path / "package"
    package.mkdir()
    (package / "mritk_acme.py").write_text(source + AUGMENTATION)
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "mritk-acme"\nversion = "1.4"\n'
        '[project.entry-points.mritk]\nacme = "mritk_acme"\n'
        '[tool.setuptools]\npy-modules = ["mritk_acme"]\n'
    )
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", str(site), str(package)], check=True)
    monkeypatch.syspath_prepend(site)

    names = ("-b", "acme_tiny", "-d", "acme_bands", "-a", "darker", "--seeds", 1)
    arguments = ("run", *names, "--protocol", fast_protocol, "--json")
    installed = mritk(*arguments, "-o", tmp_path / "installed")
    assert installed.code == 0, installed.err
    (trial,) = (tmp_path / "installed" / "trials").glob("*.h5")
    origin = json.loads(mritk("show", trial, "--json").out)["provenance"]["plugins"]
    assert set(origin.values()) == {"mritk-acme 1.4 (acme)", "mritk-bench 0.1.0 (finetune)"}

    file = package / "mritk_acme.py"
    from_file = mritk(*arguments, "-p", file, "-p", "no:acme", "-o", tmp_path / "file")
    assert from_file.code == 0, from_file.err
    boards = [json.loads(ended.out)["leaderboard"] for ended in (installed, from_file)]
    for row in (row for board in boards for table in board["tables"] for row in table["rows"]):
        del row["cost"], row["ids"]  # seconds are never the same, and ids tell of the plugin
    assert boards[0] == boards[1], "the same trials with the same predictions"
