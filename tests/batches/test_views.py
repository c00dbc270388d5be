"""Scores at test time are the mean over views of each image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mritk import Augmentation
from mritk.batches.views import views_of
from mritk.errors import UsageError
from mritk.seeds import derive
from mritk.train.training import prepare
from tests.training_fixtures import untrained


def noise(images, generator):
    return (images + 0.3 * torch.rand(images.shape, generator=generator)).clamp(0, 1)


NOISE = Augmentation("noise", noise)


def views(training, subset):
    images = training.inputs.resident(subset)
    return list(views_of(images, training.recipe, training.setup))


def make(make_setup, augmentation=NOISE, **recipe):
    return prepare(make_setup(recipe=recipe, augmentation=augmentation))


def by_hand(training, images):
    """Logits of images (N, C, H, W) in [0, 1]."""
    with torch.no_grad():
        network = training.network.eval()
        return training.inputs.compute(network, images).numpy()


def test_none_is_the_image_alone(make_setup, unseen):
    training = make(make_setup)
    (only,) = views(training, unseen)
    expected = by_hand(training, only.batch(torch.arange(len(unseen))))
    np.testing.assert_allclose(untrained(training).predict(unseen), expected, atol=1e-6)


def test_flip_is_the_mean_of_image_and_mirror_image(make_setup, unseen):
    training = make(make_setup, test_time="flip")
    images = views(training, unseen)[0].batch(torch.arange(len(unseen)))
    one, mirrored = by_hand(training, images), by_hand(training, images.flip(3))
    assert not np.allclose(one, mirrored, atol=1e-4)
    np.testing.assert_allclose(untrained(training).predict(unseen), (one + mirrored) / 2, atol=1e-6)


def test_augmentation_is_the_mean_of_the_image_and_its_draws(make_setup, unseen):
    training = make(make_setup, test_time="augmentation", test_time_views=3)
    images = views(training, unseen)[0].batch(torch.arange(len(unseen)))
    shown = [images]
    for view in range(3):
        generator = torch.Generator().manual_seed(derive(0, "test time", view, 0))
        shown.append(noise(images, generator))
    expected = np.mean([by_hand(training, batch) for batch in shown], axis=0)
    np.testing.assert_allclose(untrained(training).predict(unseen), expected, atol=1e-6)
    assert not np.allclose(expected, by_hand(training, images), atol=1e-4)


@pytest.mark.parametrize("kind", ["none", "flip", "augmentation"])
def test_predictions_repeat_themselves_whatever_was_drawn_before(make_setup, unseen, kind):
    training = make(make_setup, test_time=kind)
    first = untrained(training).predict(unseen)
    torch.rand(10)
    untrained(training).predict(training.setup.val)
    np.testing.assert_array_equal(untrained(training).predict(unseen), first)


def test_another_seed_draws_other_views(make_setup, unseen):
    trainings = [
        prepare(make_setup(recipe={"test_time": "augmentation"}, augmentation=NOISE, seed=seed))
        for seed in (0, 1)
    ]
    batches = [next(views(training, unseen)[1].in_order(4)) for training in trainings]
    assert not torch.equal(*batches)


def test_views_come_in_batches_and_draws_differ_between_them(make_setup, unseen):
    training = make(make_setup, test_time="augmentation", test_time_views=1)
    original, view = views(training, unseen)
    assert len(view) == len(original) == 12
    added = [a - b for a, b in zip(view.in_order(5), original.in_order(5), strict=True)]
    assert [len(batch) for batch in added] == [5, 5, 2]
    assert not torch.equal(added[0], added[1])


@pytest.mark.parametrize("kind", ["flip", "augmentation"])
@pytest.mark.parametrize("size", [3, 6, 8, 100])
def test_a_batch_of_a_view_is_as_large_as_one_of_the_images(
    make_setup, unseen, kind, size, monkeypatch
):
    """On a GPU what a batch lacks is filled up, and computed in vain."""
    monkeypatch.setattr("mritk.batches.views.BLOCK", 4)
    original, view, *_ = views(make(make_setup, test_time=kind), unseen)
    batches = list(view.in_order(size))
    assert list(map(len, batches)) == list(map(len, original.in_order(size)))
    torch.testing.assert_close(torch.cat(batches), torch.cat(list(view.in_order(4))))


def test_an_augmentation_that_is_none_is_told(make_setup, unseen):
    with pytest.raises(UsageError, match=r"which is none; specify one with --augmentation"):
        make(make_setup, Augmentation("none", None), test_time="augmentation")


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_draws_do_not_depend_on_how_many_images_the_device_takes(make_setup, unseen, batch_size):
    """The size of evaluation batches is no part of the protocol."""
    fields = {"test_time": "augmentation", "test_time_views": 2}
    whole = untrained(make(make_setup, NOISE, **fields)).predict(unseen)
    parts = make(make_setup, NOISE, **fields, eval_batch_size=batch_size)
    np.testing.assert_allclose(untrained(parts).predict(unseen), whole, atol=1e-5)


def test_an_augmentation_without_a_generator_of_its_own_repeats_itself(make_setup, unseen):
    careless = Augmentation("careless", lambda images, _: images * torch.rand(1))
    training = make(make_setup, careless, test_time="augmentation")
    first = untrained(training).predict(unseen)
    torch.rand(3)
    np.testing.assert_array_equal(untrained(training).predict(unseen), first)
