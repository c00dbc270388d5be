"""What a protocol does to every image after resizing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from mritk import Classification, Samples
from mritk.images.decode import decoded
from mritk.images.preprocessing import Preprocessing
from mritk.images.subset import Subset
from mritk.store.folder import ResultsFolder

RNG = np.random.default_rng(0)
COLOURED = RNG.integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)


def samples_of(arrays, spatial_dims=2):
    return Samples(
        ids=[f"s{i}" for i in range(len(arrays))],
        targets=np.arange(len(arrays)) % 2,
        task=Classification(("a", "b")),
        read=lambda i: arrays[i],
        spatial_dims=spatial_dims,
    )


def test_grey_is_the_luminance_that_pillow_computes():
    grey = Preprocessing(grey=True)
    expected = np.asarray(Image.fromarray(COLOURED[0]).convert("L"))
    np.testing.assert_array_equal(grey.of(COLOURED[0], spatial_dims=2), expected)
    floats = grey.of(COLOURED[0].astype(np.float32) / 255, spatial_dims=2)
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, expected / 255, atol=1 / 255)


def test_a_grey_image_and_a_volume_are_grey_already():
    for array, dims in ((COLOURED[0, ..., 0], 2), (COLOURED[..., 0], 3)):
        np.testing.assert_array_equal(Preprocessing(grey=True).of(array, spatial_dims=dims), array)


def test_a_point_is_blurred_into_a_gaussian_of_the_width_asked_for():
    point = np.zeros((41, 41), dtype=np.float32)
    point[20, 20] = 1
    blurred = Preprocessing(blur=2.0).of(point, spatial_dims=2)
    place = np.arange(41) - 20
    assert blurred.sum() == pytest.approx(1, abs=1e-4)
    assert np.sqrt((blurred.sum(axis=0) * place**2).sum()) == pytest.approx(2.0, rel=0.01)


def test_blurred_bytes_are_close_to_pillows():
    """Pillow approximates the Gaussian by boxes, so this is another way to the same."""
    smooth = np.asarray(Image.fromarray(COLOURED[0]).resize((64, 64), Image.Resampling.BICUBIC))
    expected = np.asarray(Image.fromarray(smooth).filter(ImageFilter.GaussianBlur(2)), dtype=int)
    found = Preprocessing(blur=2.0).of(smooth, spatial_dims=2)
    assert found.dtype == np.uint8
    assert np.abs(found - expected)[8:-8, 8:-8].max() <= 6


def test_colours_are_blurred_apart_from_each_other():
    found = Preprocessing(blur=1.5).of(COLOURED[0], spatial_dims=2)
    for channel in range(3):
        alone = Preprocessing(blur=1.5).of(COLOURED[0, ..., channel], spatial_dims=2)
        np.testing.assert_array_equal(found[..., channel], alone)


def test_a_constant_image_stays_as_it_is_up_to_its_edges():
    constant = np.full((16, 16), 200, dtype=np.uint8)
    np.testing.assert_array_equal(Preprocessing(blur=3).of(constant, spatial_dims=2), constant)


@pytest.mark.parametrize("blur", [-1.0, float("nan"), float("inf")])
def test_a_width_without_sense_is_refused(blur):
    with pytest.raises(ValueError, match="blur must be a number of pixels"):
        Preprocessing(blur=blur)


# -- in the decoded array --------------------------------------------------------------------------


def test_images_are_resized_first_and_preprocessed_then(workspace):
    rule = Preprocessing(grey=True, blur=1.0)
    found = decoded(samples_of(COLOURED), 16, "bilinear", workspace, rule)
    small = np.asarray(Image.fromarray(COLOURED[1]).resize((16, 16), Image.Resampling.BILINEAR))
    assert found.shape == (4, 16, 16), "grey images need one channel"
    np.testing.assert_array_equal(found[1], rule.of(small, spatial_dims=2))


def test_each_preprocessing_has_arrays_of_its_own(workspace):
    samples = samples_of(COLOURED)
    plain = np.array(decoded(samples, 16, "bilinear", workspace))
    blurred = np.array(decoded(samples, 16, "bilinear", workspace, Preprocessing(blur=1.0)))
    again = decoded(samples, 16, "bilinear", workspace, Preprocessing())
    assert (plain != blurred).any()
    np.testing.assert_array_equal(plain, again)
    assert len(list(workspace.folder("decoded").iterdir())) == 2


def test_what_is_computed_once_sees_preprocessed_images_and_is_kept_apart(workspace):
    samples = samples_of(COLOURED)

    def variances(pixels):
        return pixels(16, "bilinear").reshape(4, -1).var(axis=1)[:, None], {}

    plain, blurred = (
        Subset.of(samples, [0, 1], workspace, rule).derive({"kind": "variance"}, variances).values
        for rule in (Preprocessing(), Preprocessing(blur=2.0))
    )
    assert (blurred < 0.5 * plain).all()


# -- in a protocol ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_protocol_treats_all_parts_as_if_the_dataset_had_been_so(
    run_toy, toy, fast_protocol, tmp_path
):
    plain, text = fast_protocol.read_text(), toy.read_text()
    fast_protocol.write_text(plain + "\n[preprocessing]\nblur = 2.0\n")
    assert run_toy("--seeds", 1).code == 0
    fast_protocol.write_text(plain)
    given = "read=lambda i: Preprocessing(blur=2.0).of(images[i], spatial_dims=2)"
    toy.write_text(
        "from mritk.images.preprocessing import Preprocessing\n"
        + text.replace("from __future__ import annotations\n", "").replace(
            "read=lambda i: images[i]", given
        )
    )
    assert run_toy("--seeds", 1).code == 0
    one, other = ResultsFolder(tmp_path / "results").trials()
    assert one.fingerprint != other.fingerprint
    for part in ("val", "test"):
        np.testing.assert_array_equal(one.predictions[part].score, other.predictions[part].score)


@pytest.mark.slow
def test_the_card_tells_of_it(run_toy, fast_protocol, tmp_path, mritk):
    fast_protocol.write_text(
        fast_protocol.read_text() + "\n[preprocessing]\ngrey = true\nblur = 1.5\n"
    )
    assert run_toy("--seeds", 1).code == 0
    (trial,) = (tmp_path / "results" / "trials").glob("*.h5")
    card = mritk("card", trial.stem, "--results", tmp_path / "results").out
    assert "turned grey and blurred (Gaussian, σ 1.5 px)" in " ".join(card.split())
