"""The synthetic tiles: what tells the classes apart, at which resolution, and what does not."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from mritk import UsageError
from mritk.errors import UnknownName
from mritk.plugins.registry import Registry
from mritk_tiles.cohort import Cohort
from mritk_tiles.samples import CLASSES
from mritk_tiles.texture import PERIOD, SPREAD, amplitude, draw_tile


@pytest.fixture(scope="module")
def registry():
    return Registry.load(environ={})


@pytest.fixture
def open_tiles(registry, workspace):
    return lambda name: registry.dataset(name).open(workspace)


def grey_levels(samples):
    return np.stack([samples.read(i).mean(axis=-1) for i in range(len(samples.ids))])


def resized(images, side):
    """Grey images as mritk resizes them for EfficientNets: Pillow, bicubic, antialiased."""
    floats = [Image.fromarray(image.astype(np.float32)) for image in images]
    return np.stack([np.asarray(image.resize((side, side), Image.BICUBIC)) for image in floats])


def drawn_as_both(count, *, side=456, blur=0.0):
    """The same random numbers drawn as either class: two arrays (count, side, side)."""
    return [
        np.stack(
            [
                draw_tile(
                    np.random.default_rng([7, i]),
                    np.random.default_rng([8, i]),
                    side=side,
                    level=level,
                    blur=blur,
                ).mean(axis=-1)
                for i in range(count)
            ]
        )
        for level in (False, True)
    ]


def cue(images, side):
    """How much more of the fibres lies upright than level, (N,): a detector that knows the answer.

    The power is summed where fibres appear in the spectrum at this side, also where resizing folds
    them back, and each bin counts in units of its mean, without which the clouds drown all else.
    """
    power = np.abs(np.fft.fft2(resized(images, side))) ** 2
    usual = power.mean(axis=0)
    power = power / (usual + usual.T)
    frequency = np.abs(np.fft.fftfreq(side))
    wave = 456 / side / PERIOD
    wave, spread = abs(wave - round(wave)), 456 / side * SPREAD
    band = (frequency - wave) ** 2 + frequency[:, None] ** 2 < (2 * spread) ** 2
    band &= frequency**2 + frequency[:, None] ** 2 > 0.03**2
    return np.log(power[:, band].sum(axis=1) / power[:, band.T].sum(axis=1))


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


def test_a_tile_has_the_same_digest_in_every_cohort_that_holds_it(open_tiles):
    """So that copies are found where cohorts of two sizes are joined; sharp and blurred differ."""
    small = open_tiles("tiles:sharp,cases=2,tiles=2,side=64")
    large = open_tiles("tiles:sharp,cases=4,tiles=3,side=64")
    others = [
        open_tiles(f"tiles:{name}")
        for name in ("sharp,side=96", "sharp,side=64,seed=1", "blurred,side=64")
    ]
    place = dict(zip(large.ids, large.contents, strict=True))
    for row, name in enumerate(small.ids):
        assert small.contents[row] == place[name]
    everything = [digest for samples in (large, *others) for digest in samples.contents]
    assert len(set(everything)) == len(everything)


# -- the cue ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_cue_fades_with_every_step_down_the_ladder():
    """One tile drawn as either class differs in the cue alone: how much, in grey levels?"""
    upright, level = drawn_as_both(6)
    difference = {
        side: np.sqrt(np.mean((resized(upright, side) - resized(level, side)) ** 2))
        for side in (456, 380, 300, 260, 240, 224)
    }
    sizes = list(difference.values())
    assert sizes == sorted(sizes, reverse=True)
    assert difference[456] > 10
    assert difference[224] < difference[456] / 40


@pytest.mark.slow
def test_a_detector_that_knows_the_cue_finds_it_at_full_size_and_not_at_half(open_tiles):
    samples = open_tiles("tiles:sharp,cases=40,tiles=1")
    images, upright = grey_levels(samples), samples.targets == 0
    for side in (456, 380):
        assert auroc(cue(images, side), upright) == 1.0
    assert 0.25 < auroc(cue(images, 224), upright) < 0.75


@pytest.mark.slow
def test_a_detector_that_knows_the_cue_finds_none_in_blurred_tiles(open_tiles):
    samples = open_tiles("tiles:blurred,cases=40,tiles=1")
    images, upright = grey_levels(samples), samples.targets == 0
    for side in (456, 380, 224):
        assert 0.25 < auroc(cue(images, side), upright) < 0.75


@pytest.mark.slow
def test_blurred_tiles_are_the_sharp_ones_blurred(open_tiles):
    sharp = open_tiles("tiles:sharp,cases=4,tiles=1")
    blurred = open_tiles("tiles:blurred,cases=4,tiles=1")
    for row in range(4):
        tile = sharp.read(row).astype(float)
        softened = ndimage.gaussian_filter(tile, (2.5, 2.5, 0), mode="wrap")
        assert np.abs(blurred.read(row) - softened).mean() < 0.5, "rounded twice, clipped once"


def test_the_spectra_of_the_classes_are_transposes_of_each_other():
    """So nothing that treats rows and columns alike can tell the classes, whatever it is."""
    upright, level = (_whole(amplitude(96, level=x, blur=0.0)) for x in (False, True))
    np.testing.assert_allclose(upright, level.T, rtol=1e-6)
    assert upright[0, round(96 / PERIOD)] > 3 * level[0, round(96 / PERIOD)]


def _whole(half):
    """The full spectrum (side, side) of the half that a real transform keeps."""
    side = len(half)
    return np.stack([half[:, min(k, side - k)] for k in range(side)], axis=1)


def test_the_drawn_spectrum_is_the_declared_one():
    """Oracle: the mean power of many tiles, over what white noise would have."""
    tiles, _ = drawn_as_both(60, side=64)
    deviations = np.stack([tile - tile.mean() for tile in tiles])
    power = (np.abs(np.fft.fft2(deviations)) ** 2).mean(axis=0)
    declared = _whole(amplitude(64, level=False, blur=0.0)) ** 2
    bins = np.abs(np.fft.fftfreq(64))
    fibres = np.zeros((64, 64), bool)
    fibres[:4, np.abs(bins - 1 / PERIOD) < SPREAD] = True
    grain = np.hypot(bins, bins[:, None]) > 0.2
    grain &= (bins[:, None] < 0.3) & (bins < 0.3)
    found, expected = power[fibres].mean() / power[grain].mean(), declared[fibres].mean()
    assert found == pytest.approx(expected / declared[grain].mean(), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("blur", [0.0, 2.5])
def test_mean_variance_and_coarse_content_are_the_same_in_both_classes(blur):
    upright, level = drawn_as_both(12, blur=blur)
    np.testing.assert_allclose(upright.mean(axis=(1, 2)), level.mean(axis=(1, 2)), atol=0.05)
    np.testing.assert_allclose(upright.var(axis=(1, 2)), level.var(axis=(1, 2)), rtol=0.05)
    assert upright.var(axis=(1, 2)).mean() == pytest.approx(level.var(axis=(1, 2)).mean(), rel=0.01)
    coarse = resized(upright, 57) - resized(level, 57)
    assert np.sqrt(np.mean(coarse**2)) < 0.05 * resized(upright, 57).std()


def test_stain_and_brightness_are_of_the_case_and_say_nothing_of_the_class(open_tiles):
    samples = open_tiles("tiles:sharp,cases=60,tiles=3,side=64")
    colours = np.stack([samples.read(i).mean(axis=(0, 1)) for i in range(len(samples.ids))])
    cases = colours.reshape(60, 3, 3)  # case, tile, channel
    assert cases.mean(axis=1).std(axis=0).min() > 5 * cases.std(axis=1).mean()
    second = samples.targets.reshape(60, 3)[:, 0] == 1
    for channel in range(3):
        assert 0.3 < auroc(cases[:, :, channel].mean(axis=1), second) < 0.7


def test_listing_the_tiles_imports_neither_torch_nor_numpy():
    code = (
        "import mritk_tiles as m, sys; list(m.mritk_datasets()); list(m.mritk_protocols()); "
        "print({'numpy', 'scipy', 'torch', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# -- names -----------------------------------------------------------------------------------------


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
    with pytest.raises(UsageError, match="side must be at least 32"):
        Cohort(side=8)
