"""The fixtures that pytest finds once mritk is installed, as an author of a plugin uses them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mritk import hookimpl
from mritk.errors import UnknownName


class Noise:
    """A plugin as an object."""

    @hookimpl
    def mritk_augmentations(self):
        from mritk import Augmentation

        yield Augmentation("noise", None)


def test_the_registry_is_empty_and_takes_a_plugin(mritk_registry):
    assert mritk_registry.plugins == []
    mritk_registry.register(Noise())
    assert mritk_registry.augmentation("noise").origin.plugin == "Noise"


def test_each_test_has_a_registry_of_its_own(mritk_registry):
    with pytest.raises(UnknownName, match="unknown augmentation"):
        mritk_registry.augmentation("noise")


def test_the_tiny_dataset_keeps_every_promise(mritk_dataset, mritk_workspace):
    from mritk.testing import check_dataset

    check_dataset(mritk_dataset, mritk_workspace)
    samples = mritk_dataset.open(mritk_workspace)
    assert len(samples) == 36
    assert len(set(samples.patients)) == 12
    assert samples.read(0).shape == (32, 32)


def test_the_program_is_called_as_on_the_command_line(mritk_cli):
    ended = mritk_cli("list", "backbones")
    assert ended.exit_code == 0
    assert "small_cnn@scratch" in ended.stdout
    ended = mritk_cli("list", "nothing")
    assert ended.exit_code == 2
    assert "nothing" in ended.stderr


def test_the_workspace_is_the_one_of_the_program_and_is_offline(mritk_cli, mritk_workspace):
    ended = mritk_cli("cache", "path")
    assert ended.stdout.strip() == str(mritk_workspace.home)
    assert mritk_workspace.offline


def test_results_go_into_a_folder_that_is_not_there_yet(mritk_results):
    assert not mritk_results.exists()


@pytest.mark.slow
def test_pytest_of_others_pays_nothing_for_the_fixtures():
    """pytest loads them in every environment that has mritk, so they must not bring torch."""
    code = "import mritk.pytest_plugin, sys; print({'torch', 'numpy'} & {*sys.modules})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"
