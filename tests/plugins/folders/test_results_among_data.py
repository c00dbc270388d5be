"""A results folder within the data, as for a run from inside them, changes nothing of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mritk import UsageError
from mritk.plugins.registry import Registry
from mritk_dicom.class_folders import LOOKED_AT as DICOM_LOOKED_AT
from mritk_dicom.class_folders import holds_dicom
from mritk_folders import recognise
from mritk_folders.recognise import is_tree, refuse_no_tree

pytestmark = pytest.mark.usefixtures("no_near_copies")


def image(path, number=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 255, (8, 8), np.uint8)
    Image.fromarray(pixels).save(path)


def put_results(folder, write_nifti=None, trials=3):
    """Write what runs and explanations leave: trials, images and volumes."""
    for number in range(trials):
        path = folder / "mritk-results" / "trials" / f"{number}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (folder / "mritk-results" / "results.h5").touch()
    explained = folder / "mritk-results" / "explanations" / "0"
    image(explained / "map.png", 99)
    if write_nifti:
        write_nifti(explained / "sub-1_T1w-seg.nii.gz", np.ones((4, 5, 6), np.int16))
    return folder


def all_of(name):
    samples = Registry.load(environ={}).dataset(name).open(None)
    told = [(found.reason, *found.names) for found in samples.passed_over]
    pixels = np.stack([np.asarray(samples.read(k)) for k in range(len(samples))])
    return samples.ids, list(samples.targets), samples.patients, told, pixels.tobytes()


def test_images_and_volumes_of_a_tree_are_the_same_with_results_among_them(tmp_path, write_nifti):
    for number, name in enumerate(("a/1", "a/2", "b/1", "b/2")):
        image(tmp_path / "images" / f"{name}.png", number)
        volume = np.random.default_rng(number).integers(0, 99, (4, 5, 6)).astype(np.int16)
        write_nifti(tmp_path / "volumes" / f"{name}.nii.gz", volume)
    for root in (tmp_path / "images", tmp_path / "volumes"):
        before = all_of(f"folder:{root}")
        put_results(root, write_nifti)
        put_results(root / "a", write_nifti)
        assert all_of(f"folder:{root}") == before


def test_official_parts_are_the_same_with_results_beside_and_in_them(tmp_path):
    for number, part in enumerate(("Training", "Testing")):
        for label in "ab":
            image(tmp_path / part / label / "1.png", number * 2 + (label == "b"))
    before = all_of(f"folder:{tmp_path}")
    put_results(put_results(tmp_path) / "Training")
    assert all_of(f"folder:{tmp_path}") == before


def test_participants_are_the_same_with_results_beside_and_among_them(tmp_path, write_nifti):
    (tmp_path / "participants.tsv").write_text("participant_id\tgroup\nsub-1\ta\nsub-2\tb\n")
    for person in ("sub-1", "sub-2"):
        volume = np.arange(120, dtype=np.int16).reshape(4, 5, 6) * int(person[-1])
        write_nifti(tmp_path / person / "anat" / f"{person}_T1w.nii.gz", volume)
    name = f"bids:{tmp_path},target=group"
    before = all_of(name)
    put_results(put_results(tmp_path, write_nifti) / "sub-1", write_nifti)
    assert all_of(name) == before


def test_cases_of_brats_are_the_same_with_results_beside_them(tmp_path, write_nifti):
    for case in ("C-00001-000", "C-00002-000"):
        for ending in ("-t1n", "-t1c", "-t2w", "-t2f", "-seg"):
            volume = np.arange(120, dtype=np.int16).reshape(4, 5, 6) % 4
            write_nifti(tmp_path / case / f"{case}{ending}.nii.gz", volume)
    before = all_of(f"brats:{tmp_path}")
    put_results(tmp_path, write_nifti)
    assert all_of(f"brats:{tmp_path}") == before


def test_a_first_look_sees_the_data_and_not_the_results(tmp_path, monkeypatch):
    monkeypatch.setattr(recognise, "LOOKED_AT", 5)
    only = put_results(tmp_path / "only", trials=9)
    assert not is_tree(only), "a map that was explained is no scan of a dataset"
    mixed = put_results(tmp_path / "mixed", trials=DICOM_LOOKED_AT + 1)
    image(mixed / "z" / "1.png")
    (mixed / "z" / "IM1").write_bytes(bytes(128) + b"DICM")
    assert is_tree(mixed)
    assert holds_dicom(mixed)


def test_flat_images_are_told_as_such_with_results_beside_them(tmp_path):
    image(tmp_path / "1.png")
    with pytest.raises(UsageError, match=r"contains 1 files such as 1\.png but no class folders"):
        refuse_no_tree(put_results(tmp_path))
