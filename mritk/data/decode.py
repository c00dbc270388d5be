"""Decode every sample once, into one array on disk that all trials share.

The array is kept under the digests of the samples, so a changed file can never meet a stale cache
(:mod:`mritk.files.kept`); images are uint8 (floats stay float32).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from mritk.data.identified import SampleChanged
from mritk.data.preprocessing import UNCHANGED, Preprocessing
from mritk.data.samples import Samples, UnreadableSamples
from mritk.data.shaping import RESAMPLING, Shaping, shaping_code
from mritk.errors import DataError, UsageError, one_line
from mritk.files.kept import Draft, kept, key_of
from mritk.files.workspace import Workspace
from mritk.machine.in_threads import in_threads

WHAT, IMAGES = "decoded images", "images"


class _ColourFound(Exception):
    """A coloured image stands among the grey ones."""


def decoded(
    samples: Samples,
    size: int | None,
    interpolation: str,
    workspace: Workspace,
    preprocessing: Preprocessing = UNCHANGED,
    progress: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """Return all samples as one read-only array, decoding them if that was not done before.

    Args:
        samples: Images or volumes.
        size: Side in pixels or voxels; None: as they are, which must then be one shape.
        interpolation: ``bilinear``, ``bicubic`` or ``nearest``.
        workspace: Where the array is kept.
        preprocessing: What is done to each after resizing.
        progress: Called with the share of the samples that is decoded.

    Returns:
        A memory-mapped array (N, H, W), (N, H, W, 3) or (N, D, H, W); uint8 or float32.

    Raises:
        UnreadableSamples: Some samples cannot be decoded.
        SampleChanged: A file was written to meanwhile.
        DataError: The samples have no spatial dimensions, or several shapes and no ``size``.
    """
    if interpolation not in RESAMPLING:
        known = ", ".join(RESAMPLING)
        raise UsageError(f"unknown interpolation {interpolation!r}; expected one of {known}")
    if not len(samples):
        raise DataError("no samples to decode")
    if samples.spatial_dims not in (2, 3):
        raise DataError("these samples are not images; they require a custom method")
    shaping = Shaping(samples.spatial_dims or 0, size, interpolation, preprocessing)
    folder, identity = workspace.folder("decoded"), _identity(samples, shaping)
    make = partial(_make, samples, shaping, progress=progress)
    return kept(folder, identity, make, WHAT).arrays[IMAGES]


def is_decoded(
    samples: Samples,
    size: int | None,
    interpolation: str,
    workspace: Workspace,
    preprocessing: Preprocessing = UNCHANGED,
) -> bool:
    """Tell whether :func:`decoded` would find an array, by its name alone."""
    shaping = Shaping(samples.spatial_dims or 0, size, interpolation, preprocessing)
    return (workspace.folder("decoded") / key_of(_identity(samples, shaping))).is_dir()


def _identity(samples: Samples, shaping: Shaping) -> list[object]:
    return [
        *shaping_code(),
        shaping.size,
        shaping.interpolation,
        shaping.spatial_dims,
        samples.contents,
        *shaping.preprocessing.identity(),
    ]


def _make(
    samples: Samples, shaping: Shaping, draft: Draft, progress: Callable[[float], None]
) -> dict[str, object]:
    try:
        _fill(samples, shaping, draft, progress, colour=False)
    except _ColourFound:
        _fill(samples, shaping, draft, progress, colour=True)
    return {}


def _fill(
    samples: Samples,
    shaping: Shaping,
    draft: Draft,
    progress: Callable[[float], None],
    *,
    colour: bool,
) -> None:
    def prepare(row: int) -> np.ndarray:
        return shaping.of(samples.read(row))

    array: np.memmap | None = None
    bad: dict[int, str] = {}
    for row, result in enumerate(in_threads(prepare, len(samples))):
        if isinstance(result, SampleChanged):
            raise result
        if isinstance(result, Exception):
            bad[row] = one_line(result)
            continue
        item = result
        if samples.spatial_dims == 2 and item.ndim == 3 and not colour:
            raise _ColourFound
        if colour and item.ndim == 2:
            item = np.repeat(item[..., None], 3, axis=-1)
        if array is None:
            array = draft.array(IMAGES, (len(samples), *item.shape), item.dtype)
        if item.dtype != array.dtype:
            raise DataError(
                f"sample {samples.ids[row]} is {item.dtype}, the first {array.dtype}; a dataset "
                "must use either uint8 or floats in [0, 1]"
            )
        if item.shape != array.shape[1:]:
            raise DataError(
                f"sample {samples.ids[row]} has shape {item.shape}, the first {array.shape[1:]}; "
                "set image_size (or volume_size) in the protocol instead of native"
            )
        array[row] = item
        progress((row + 1) / len(samples))
    if bad:
        raise UnreadableSamples(samples.ids, list(bad), list(bad.values()))
    if array is not None:
        array.flush()
