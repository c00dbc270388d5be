"""Datasets that break one promise each; they are named after it. ``good`` breaks none."""

from __future__ import annotations

import itertools
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mritk import Classification, Dataset, DatasetFamily, Samples, Segmentation, hookimpl

COUNTER = itertools.count()
BUFFER = np.zeros((16, 16), np.uint8)
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 16, 16), dtype=np.uint8)


def read(i):
    return IMAGES[i]


@dataclass(frozen=True)
class Brightness:
    """Options of a family."""

    negative: bool = False


def read_negative(i):
    return 255 - IMAGES[i]


def open_negative(workspace):
    return samples(read=read_negative, digest=lambda i: f"{i:064x}")


def open_positive(workspace):
    return samples(digest=lambda i: f"{i:064x}")


def by_brightness(member, options):
    opened = open_negative if options.negative else open_positive
    told = {"sources": ("made up",), "license": "CC0-1.0", "summary": "breaks one promise"}
    yield Dataset("options_stand_in_the_digests", opened, **told)


def samples(**changes):
    columns = {
        "ids": [f"image-{i:02d}" for i in range(24)],
        "targets": np.arange(24) % 2,
        "task": Classification(("a", "b")),
        "read": read,
        "patients": [f"patient-{i // 2}" for i in range(24)],
    }
    return Samples(**{**columns, **changes})


def open_good(workspace):
    return samples()


def open_numbered(workspace):
    return samples(ids=[f"image-{next(COUNTER)}" for _ in range(24)])


def open_absolute(workspace):
    return samples(ids=[f"/data/image-{i:02d}" for i in range(24)])


def open_without_patients(workspace):
    return samples(patients=None)


def open_divided_patients(workspace):
    return samples(splits=[("train", "test")[i % 2] for i in range(24)])


def read_other_each_time(i):
    return (IMAGES[i] + next(COUNTER)).astype(np.uint8)


def open_unsteady(workspace):
    return samples(read=read_other_each_time, digest=lambda i: f"{i:064x}")


def open_with_another_window(workspace):
    window = 1 + next(COUNTER)
    return samples(read=lambda i: IMAGES[i] // window, digest=lambda i: f"{i:064x}")


def read_12_bit(i):
    return IMAGES[i].astype(np.int16) * 16


def open_12_bit(workspace):
    return samples(read=read_12_bit)


def open_with_an_empty_class(workspace):
    return samples(task=Classification(("a", "b", "c")))


def open_with_two_spellings(workspace):
    return samples(task=Classification(("a", "A")))


def read_a_smaller_map(i):
    return (IMAGES[i][:8] > 127).astype(np.uint8)


def open_with_smaller_maps(workspace):
    return samples(
        targets=np.zeros(0),
        task=Segmentation(("background", "tumour")),
        read_target=read_a_smaller_map,
    )


def open_one_digest(workspace):
    return samples(digest=lambda i: "0" * 64)


def open_online(workspace):
    with suppress(OSError):  # the network is asked, whatever comes of it
        socket.create_connection(("data.example", 80), timeout=1)
    return samples()


@hookimpl
def mritk_datasets():
    plain = partial(Dataset, sources=("made up",), license="CC0-1.0", summary="breaks one promise")
    yield plain("good", open_good)
    yield plain("opens_the_same_twice", open_numbered)
    yield plain("ids_mean_the_same_everywhere", open_absolute)
    yield plain("patients_are_told", open_without_patients)
    yield plain("parts_are_disjoint", open_divided_patients)
    yield plain("reading_twice_gives_the_same", open_unsteady)
    yield DatasetFamily(
        "options_stand_in_the_digests", by_brightness, placeholder="", options=Brightness
    )
    yield plain("opening_again_reads_the_same", open_with_another_window)
    yield plain("samples_are_what_is_declared", open_12_bit)
    yield plain("every_class_has_samples", open_with_an_empty_class)
    yield plain("classes_have_names_of_their_own", open_with_two_spellings)
    yield plain("label_maps_lie_on_their_samples", open_with_smaller_maps)
    yield plain("digests_tell_contents_apart", open_one_digest)
    yield plain("heeds_offline", open_online)
    yield replace(plain("declares_licence_and_sources", open_good), license="not stated")
    yield plain("is_sent_to_workers", lambda workspace: samples())
