"""The cache: generated once, bit for bit the same, complete or unused."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from mritk import Workspace
from mritk.files.draft import draft_of
from mritk_phantom import recipe as recipes
from mritk_phantom import store
from mritk_phantom.folder import is_complete
from mritk_phantom.recipe import Recipe

TINY = Recipe(patients=4, size=32, resolution=8)


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def no_generation(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("generated again")

    monkeypatch.setattr(store, "generate", refuse)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(tmp_path):
    one = store.ensure(Workspace(tmp_path / "one"), TINY, workers=1)
    many = store.ensure(Workspace(tmp_path / "many"), TINY, workers=3)
    assert len(files(one)) == 4 + 4
    assert files(one) == files(many)


@pytest.mark.slow
def test_another_seed_gives_other_images(tmp_path):
    first = store.open_samples(TINY, Workspace(tmp_path))
    other = store.open_samples(replace(TINY, seed=1), Workspace(tmp_path))
    assert first.ids == other.ids
    assert not set(first.contents) & set(other.contents)


@pytest.mark.slow
def test_more_patients_leave_the_first_ones_as_they_are(tmp_path):
    few = store.open_samples(TINY, Workspace(tmp_path))
    more = store.open_samples(replace(TINY, patients=8), Workspace(tmp_path))
    assert few.contents == more.contents[: len(few)]
    assert len(set(more.contents)) == len(more)


def test_a_second_open_reads_what_the_first_one_made(small, no_generation):
    again = store.open_samples(Recipe(patients=8, size=64, resolution=4), small.workspace)
    assert again.fingerprint == small.samples.fingerprint


def test_each_parameter_and_the_generator_version_change_the_folder(monkeypatch):
    recipe = Recipe()
    others = [replace(recipe, **{name: 8}) for name in ("patients", "resolution", "seed")]
    keys = {recipe.key, replace(recipe, size=64).key, *(other.key for other in others)}
    assert len(keys) == 5
    monkeypatch.setattr(recipes, "GENERATOR_VERSION", recipes.GENERATOR_VERSION + 1)
    assert recipe.key not in keys


def test_reading_returns_an_array_of_its_own(small):
    image = small.samples.read(3)
    before = image.copy()
    image[:] = 0
    assert (small.samples.read(3) == before).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "complete.json").unlink(),
        lambda folder: (folder / "images.npy").write_bytes(b"half"),
        lambda folder: (folder / "volumes" / "patient-0002.npz").unlink(),
        lambda folder: (folder / "complete.json").write_text("{"),
        lambda folder: flip_a_byte(folder / "lesions.npy"),
    ],
    ids=["no seal", "short images", "no volume", "torn seal", "changed masks"],
)
def test_a_damaged_cache_is_made_again(tmp_path, damage):
    folder = store.ensure(Workspace(tmp_path), TINY)
    sound = files(folder)
    damage(folder)
    assert not is_complete(folder, store.HASHED)
    assert files(store.ensure(Workspace(tmp_path), TINY)) == sound


@pytest.mark.parametrize("text", ["{", "[]", '{"files": []}', '{"files": {"images.npy": 1}}'])
def test_a_seal_of_another_form_seals_nothing(tmp_path, text):
    (tmp_path / "complete.json").write_text(text)
    assert not is_complete(tmp_path, ())


@pytest.mark.slow
def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    root = Workspace(tmp_path).folder("phantom")
    left = draft_of(root / TINY.key)
    left = left.with_name(left.name.replace(f"-{os.getpid()}-", "-99999999-"))
    left.mkdir()
    (left / "images.npy").write_bytes(b"half")
    folder = store.ensure(Workspace(tmp_path), TINY)
    assert is_complete(folder, store.HASHED) and not left.exists()


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.slow
def test_a_generation_that_fails_leaves_nothing_to_be_mistaken_for_a_phantom(tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mritk_phantom.folder.seal", fail)
    with pytest.raises(KeyboardInterrupt):
        store.ensure(Workspace(tmp_path), TINY)
    assert not [path for path in (tmp_path / "phantom").iterdir() if path.is_dir()]


def test_two_who_ask_at_once_generate_once(tmp_path, monkeypatch):
    calls = []
    generate = store.generate
    monkeypatch.setattr(store, "generate", lambda *a, **k: (calls.append(1), generate(*a, **k)))
    with ThreadPoolExecutor(2) as pool:
        folders = set(pool.map(lambda _: store.ensure(Workspace(tmp_path), TINY), range(2)))
    assert len(folders) == 1 and len(calls) == 1


def test_progress_goes_to_the_log(tmp_path, caplog, capsys):
    with caplog.at_level("INFO", logger="mritk_phantom"):
        store.ensure(Workspace(tmp_path), TINY)
    assert "generated 4 of 4 patients" in caplog.text
    assert capsys.readouterr().out == ""


def test_the_seal_names_the_recipe_and_every_file(small):
    seal = json.loads((small.folder / "complete.json").read_text())
    assert seal["recipe"] == {
        "generator": recipes.GENERATOR_VERSION,
        "patients": 8,
        "size": 64,
        "resolution": 4,
        "seed": 152,
    }
    assert len(seal["files"]) == 3 + 8
    assert np.load(small.folder / "images.npy", mmap_mode="r").shape == (48, 64, 64)
