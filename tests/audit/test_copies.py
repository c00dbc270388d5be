"""Copies are found in every form they come in, and nothing else is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.audit.planted_copies import average_head, score
from benchmarks.audit.plants import EVERYWHERE, HARD, HELD
from mritk import Workspace
from mritk.audit.copies import find_copies
from mritk.audit.evidence import compare
from mritk.audit.image_index import image_index
from mritk.plugins.registry import Registry


@pytest.fixture
def copies_of(as_samples, workspace):
    """Find the copies among pictures, whose digests are those of their bytes."""

    def find(*groups, **options):
        indexes = []
        for number, pictures in enumerate(groups):
            samples = as_samples(pictures, f"set{number}")
            indexes.append(image_index(samples, workspace))
        return find_copies(indexes, **options)

    return find


def test_different_pictures_are_no_copies(heads, copies_of):
    found = copies_of(heads)
    assert found.pairs == ()
    assert found.members == []
    assert len(set(found.clusters)) == len(heads)


def test_identical_files_identical_pixels_and_near_copies_are_told_apart(
    heads, as_samples, workspace
):
    near = HELD["brightness + 30"](heads[2])
    pictures = [*heads[:3], heads[0], heads[1], near]
    digests = ["file-0", "file-1", "file-2", "file-0", "another file", "file-5"]
    samples = replace(as_samples(pictures), digest=lambda i: digests[i])
    found = find_copies([image_index(samples, workspace)])
    kinds = {(pair.one, pair.other): pair.kind for pair in found.pairs}
    assert kinds == {(0, 3): "bytes", (1, 4): "pixels", (2, 5): "near"}
    assert sorted(map(list, found.members)) == [[0, 3], [1, 4], [2, 5]]
    similarity = {pair.kind: pair.similarity for pair in found.pairs}
    assert similarity["bytes"] == similarity["pixels"] == 1
    assert 0.994 <= similarity["near"] <= 1


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("rotated by 90°", "rotated by 90° anticlockwise"),
        ("rotated by 270°", "rotated by 90° clockwise"),
        ("flipped horizontally", "flipped horizontally"),
        ("padded by 25 %", "padding or position differs, 96×96 and 144×144"),
        ("resized × 2", "96×96 and 192×192"),
        ("JPEG quality 50", "re-encoded, or intensities changed"),
    ],
)
def test_the_evidence_says_what_was_done(heads, copies_of, kind, change):
    plant = {**HELD, **HARD}[kind]
    (pair,) = copies_of([*heads, np.ascontiguousarray(plant(heads[4]))]).pairs
    assert (pair.one, pair.other) == (4, 12)
    assert pair.change == change


def test_clusters_are_transitive(heads, copies_of):
    chain = [heads[0], np.fliplr(heads[0]), HELD["gamma 0.7"](np.fliplr(heads[0])), heads[1]]
    found = copies_of([np.ascontiguousarray(picture) for picture in chain])
    assert [list(rows) for rows in found.members] == [[0, 1, 2]]
    assert len(found.pairs) == 2, "n - 1 pairs connect n copies"


@pytest.mark.slow
def test_hundreds_of_near_copies_take_as_many_comparisons(heads, copies_of, monkeypatch):
    """Not their square: pairs that are connected already are not compared."""
    compared = []

    def count(pictures, i, j, turn, *, align):
        compared.append(len(i))
        return compare(pictures, i, j, turn, align=align)

    monkeypatch.setattr("mritk.audit.evidence.compare", count)
    generator = np.random.default_rng(0)
    noise = generator.integers(-1, 2, (400, 96, 96))
    many = [np.clip(heads[0].astype(int) + n, 0, 255).astype(np.uint8) for n in noise]
    found = copies_of(many)
    assert len(found.pairs) == 399
    assert [len(rows) for rows in found.members] == [400]
    assert sum(compared) < 10 * 400


@pytest.mark.slow
def test_images_and_volumes_can_be_searched_together(heads, as_samples, workspace):
    volumes = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 20), np.uint8)
    images = image_index(as_samples([*heads, heads[3]]), workspace)
    stacks = replace(as_samples([*volumes, volumes[1]]), spatial_dims=3)
    found = find_copies([images, image_index(stacks, workspace), images])
    assert [3, 12, 20, 29] in [rows.tolist() for rows in found.members]
    assert [14, 16] in [rows.tolist() for rows in found.members]


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    ["", "[", "null", '{"crc32": 0}', '{"crc32": 0, "arrays": {}, "facts": {"pairs": []}}'],
)
def test_a_damaged_result_is_found_again(heads, copies_of, workspace, damage):
    first = copies_of([*heads, heads[3]], workspace=workspace)
    (file,) = (f for f in (workspace.home / "audit").rglob("*.json") if "pairs" in f.read_text())
    file.write_text(damage)
    assert copies_of([*heads, heads[3]], workspace=workspace).pairs == first.pairs


def test_constant_images_are_no_copies(heads, copies_of):
    blank = np.zeros((64, 64), np.uint8)
    assert copies_of([heads[0], blank, blank, np.full((32, 32), 9, np.uint8)]).pairs == ()


def test_copies_are_found_across_datasets(heads, copies_of):
    found = copies_of(heads[:6], [heads[8], np.rot90(heads[2]).copy(), heads[9]])
    assert [(pair.one, pair.other) for pair in found.pairs] == [(2, 7)]


def test_noise_alone_is_not_recognised(copies_of):
    generator = np.random.default_rng(0)
    assert (
        copies_of([generator.integers(0, 256, (64, 64), np.uint8) for _ in range(40)]).pairs == ()
    )


@pytest.mark.slow
def test_volumes_are_recognised_flipped_and_reordered(workspace, as_samples):
    from scipy import ndimage

    noise = np.random.default_rng(0).normal(size=(5, 30, 36, 32))
    smooth = ndimage.gaussian_filter(noise, (0, 3, 3, 3))
    volumes = list((128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8))
    volumes += [volumes[1][:, ::-1], volumes[2].transpose(1, 2, 0), (volumes[3] * 0.6).astype("u1")]
    samples = replace(as_samples(volumes), spatial_dims=3)
    found = find_copies([image_index(samples, workspace)])
    assert {(pair.one, pair.other) for pair in found.pairs} == {(1, 5), (2, 6), (3, 7)}


def test_the_result_is_kept_and_not_searched_for_again(heads, copies_of, workspace, monkeypatch):
    first = copies_of([*heads, heads[3]], workspace=workspace)
    monkeypatch.setattr("mritk.audit.copies._pairs", None)
    again = copies_of([*heads, heads[3]], workspace=workspace)
    assert again.pairs == first.pairs
    assert np.array_equal(again.clusters, first.clusters)
    facts = [json.loads(file.read_text()) for file in (workspace.home / "audit").rglob("*.json")]
    (pairs,) = [one["facts"]["pairs"] for one in facts if "pairs" in one["facts"]]
    assert pairs[0]["kind"] == "bytes"


@pytest.mark.slow
def test_the_order_of_the_samples_does_not_matter(heads, copies_of):
    pictures = [*heads, np.fliplr(heads[3]).copy(), HELD["JPEG quality 50"](heads[5])]
    order = np.random.default_rng(0).permutation(len(pictures))
    forth = copies_of(pictures)
    back = copies_of([pictures[i] for i in order])

    def as_sets(found, names):
        return {frozenset(names[row] for row in rows.tolist()) for rows in found.members}

    assert as_sets(forth, list(range(14))) == as_sets(back, order.tolist())


# -- planted copies: the table of docs/audit.md, on part of its collections --------------------


@pytest.fixture(scope="module")
def phantom_images(default_phantom):
    samples = Registry.load().dataset("phantom").open(default_phantom)
    return [samples.read(i) for i in range(len(samples))]


@pytest.fixture(scope="module")
def originals(phantom_images):
    return [*phantom_images[::12], *average_head(16)]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A workspace that keeps the signatures of what copies are planted among."""
    return Workspace(tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def alike():
    """The slices of MNI152, in runs 1 mm apart, that differ least from their neighbours."""
    slices = average_head()
    return [*slices[71:75], *slices[210:220], *slices[227:232], *slices[342:347]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [None, *EVERYWHERE])
def test_neighbouring_slices_give_no_pair_also_if_all_have_one_border(kind, alike, workspace):
    slices = [EVERYWHERE[kind](image) for image in alike] if kind else alike
    assert score(slices, None, workspace)["false pairs"] == 0


@pytest.mark.slow
def test_slices_of_the_phantom_give_no_pair(phantom_images, workspace):
    """Six slices of each of its first patients, and one of each other."""
    images = [*phantom_images[:36], *phantom_images[36::6]]
    assert score(images, None, workspace)["false pairs"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", HELD)
def test_every_planted_copy_is_found(kind, originals, kept):
    found = score(originals, HELD[kind], kept)
    assert found["recall"] == 1
    assert found["false pairs"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", HELD)
def test_planted_copies_of_random_pictures_are_found(kind, heads, workspace):
    found = score(heads, HELD[kind], workspace)
    assert found == {"images": 12, "recall": 1.0, "false pairs": 0}


def test_the_digests_of_planted_copies_differ(heads):
    """The plants are real: but for the first, none leaves the pixels as they are."""
    original = hashlib.sha256(heads[0].tobytes()).digest()
    for kind, plant in {**HELD, **HARD}.items():
        changed = hashlib.sha256(np.ascontiguousarray(plant(heads[0])).tobytes()).digest()
        assert (changed == original) == (kind == "identical"), kind
