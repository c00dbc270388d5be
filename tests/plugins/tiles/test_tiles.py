"""The synthetic tiles: what tells the classes apart, at which resolution, and what does not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mritk import UsageError
from mritk.errors import UnknownName
from mritk.registry import Registry
from mritk_tiles.cohort import CLASSES, Cohort
from mritk_tiles.texture import PERIOD


@pytest.fixture(scope="module")
def registry():
    return Registry.load(environ={})


@pytest.fixture
def open_tiles(registry, workspace):
    return lambda name: registry.dataset(name).open(workspace)


def grey_levels(samples):
    return np.stack([samples.read(i).mean(axis=-1) for i in range(len(samples.ids))])


def direction(images, side):
    """How much more variation there is from left to right than from top to bottom, (N,)."""
    small = [
        np.asarray(Image.fromarray(i.astype(np.uint8)).resize((side, side), Image.BICUBIC), float)
        for i in images
    ]
    across, down = (np.stack([np.diff(i, axis=a).var() for i in small]) for a in (1, 0))
    return np.log(across / down)


def auroc(value, positive):
    above = value[positive][:, None] > value[~positive][None, :]
    return above.mean()


def test_cases_have_one_class_and_several_tiles(open_tiles):
    samples = open_tiles("tiles:sharp,cases=6,tiles=3,side=64")
    assert samples.task.classes == CLASSES
    assert len(samples.ids) == 18
    assert samples.read(0).shape == (64, 64, 3)
    for case in set(samples.patients):
        rows = [i for i, patient in enumerate(samples.patients) if patient == case]
        assert len(rows) == 3
        assert len(set(samples.targets[rows].tolist())) == 1
    assert np.bincount(samples.targets).tolist() == [9, 9]


def test_a_cohort_is_a_function_of_its_seed_and_grows_without_changing(open_tiles):
    one, again = (open_tiles("tiles:sharp,cases=2,tiles=2,side=64") for _ in range(2))
    larger = open_tiles("tiles:sharp,cases=4,tiles=2,side=64")
    other = open_tiles("tiles:sharp,cases=2,tiles=2,side=64,seed=1")
    for row in range(4):
        np.testing.assert_array_equal(one.read(row), again.read(row))
        np.testing.assert_array_equal(one.read(row), larger.read(row))
        assert (one.read(row) != other.read(row)).any()
    assert one.fingerprint == again.fingerprint != other.fingerprint


def test_classes_differ_in_direction_at_full_size_and_at_half_no_more(open_tiles):
    """By a measure that knows what to look for: 456 px hold the cue, 224 px do not."""
    samples = open_tiles("tiles:sharp,cases=24,tiles=1")
    images, upright = grey_levels(samples), samples.targets == 0
    assert auroc(direction(images, 456), upright) == 1.0
    assert auroc(direction(images, 380), upright) > 0.9
    assert 0.2 < auroc(direction(images, 224), upright) < 0.8


def test_blurred_tiles_hold_no_cue_at_any_size(open_tiles):
    samples = open_tiles("tiles:blurred,cases=24,tiles=1")
    images, upright = grey_levels(samples), samples.targets == 0
    for side in (456, 224):
        assert 0.2 < auroc(direction(images, side), upright) < 0.8


def test_the_spectrum_peaks_at_the_fibres_and_is_even_elsewhere(open_tiles):
    samples = open_tiles("tiles:sharp,cases=2,tiles=8,side=240")
    spectra = np.abs(np.fft.fft2(grey_levels(samples))) ** 2
    upright, level = (spectra[samples.targets == label].mean(axis=0) for label in (0, 1))
    at = round(240 / PERIOD)
    assert upright[0, at] > 100 * level[0, at]
    assert level[at, 0] > 100 * upright[at, 0]


def test_brightness_and_contrast_say_nothing_of_the_class(open_tiles):
    samples = open_tiles("tiles:sharp,cases=40,tiles=2,side=96")
    images, second = grey_levels(samples), samples.targets == 1
    for value in (images.mean(axis=(1, 2)), images.std(axis=(1, 2))):
        assert 0.25 < auroc(value, second) < 0.75


def test_what_is_not_at_its_default_stands_in_the_name(registry):
    assert registry.dataset("tiles:sharp").name == "tiles:sharp"
    assert registry.dataset("tiles:blurred,side=96,cases=20").name == (
        "tiles:blurred,cases=20,side=96"
    )


def test_what_makes_no_sense_is_refused(registry):
    with pytest.raises(UnknownName, match="tiles:sharp"):
        registry.dataset("tiles:sharpp")
    with pytest.raises(UsageError, match="cases must be at least 2"):
        registry.dataset("tiles:sharp,cases=1")
    with pytest.raises(UsageError, match="did you mean side"):
        registry.dataset("tiles:sharp,sid=96")
    with pytest.raises(ValueError, match="side must be at least 32"):
        Cohort(side=8)
