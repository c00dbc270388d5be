"""Copies of images as they come about in collections, at several strengths."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

Plant = Callable[[np.ndarray], np.ndarray]


def encoded(image: np.ndarray, form: str, **options: Any) -> np.ndarray:
    """Return the image after lossy compression."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, form, **options)
    return np.asarray(Image.open(content, formats=[form]).convert("L"))


def resized(image: np.ndarray, high: float, wide: float) -> np.ndarray:
    """Return the image with other sides, by bicubic interpolation."""
    size = round(image.shape[1] * wide), round(image.shape[0] * high)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def intensities(image: np.ndarray, gain: float, offset: float) -> np.ndarray:
    """Return gain · image + offset, clipped to 8 bits."""
    return np.clip(gain * image.astype(np.float32) + offset, 0, 255).astype(np.uint8)


def gamma(image: np.ndarray, exponent: float) -> np.ndarray:
    """Return the image with another gamma."""
    return np.rint(255 * (image / 255.0) ** exponent).astype(np.uint8)


def padded(
    image: np.ndarray, top: float, bottom: float, left: float, right: float, value: int = 0
) -> np.ndarray:
    """Return the image with a border, in shares of its sides."""
    height, width = image.shape
    rows = round(top * height), round(bottom * height)
    columns = round(left * width), round(right * width)
    return np.pad(image, (rows, columns), constant_values=value)


def noisy(image: np.ndarray, sigma: float) -> np.ndarray:
    """Return the image with white noise."""
    noise = np.random.default_rng(0).normal(0, sigma, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def with_lesion(image: np.ndarray, radius: float) -> np.ndarray:
    """Return the image with a bright sharp disc; its radius is a share of the width."""
    height, width = image.shape
    y, x = np.mgrid[:height, :width]
    disc = np.hypot(y - 0.45 * height, x - 0.35 * width) < radius * width
    return np.where(disc, np.uint8(250), image)


def filtered(image: np.ndarray, kernel: Any) -> np.ndarray:
    """Return the image after one of Pillow's filters."""
    return np.asarray(Image.fromarray(image).filter(kernel))


def equalised(image: np.ndarray) -> np.ndarray:
    """Return the image with an even histogram."""
    return np.asarray(ImageOps.equalize(Image.fromarray(image)))


def locally_equalised(image: np.ndarray) -> np.ndarray:
    """Return the image after contrast-limited adaptive histogram equalisation (CLAHE)."""
    from skimage.exposure import equalize_adapthist

    return np.rint(255 * equalize_adapthist(image, clip_limit=0.02)).astype(np.uint8)


def cropped(image: np.ndarray, share: float) -> np.ndarray:
    """Return the image without a share of its sides on every side."""
    height, width = image.shape
    rows, columns = round(share * height), round(share * width)
    return image[rows : height - rows, columns : width - columns].copy()


def turned(image: np.ndarray, degrees: float) -> np.ndarray:
    """Return the image turned about its centre, the corners black."""
    return np.asarray(Image.fromarray(image).rotate(degrees, Image.Resampling.BILINEAR))


def shifted(image: np.ndarray, down: float, right: float) -> np.ndarray:
    """Return the image shifted by shares of its sides."""
    height, width = image.shape
    matrix = (1, 0, -right * width, 0, 1, -down * height)
    transform = Image.Transform.AFFINE
    return np.asarray(Image.fromarray(image).transform((width, height), transform, matrix))


def marked(image: np.ndarray) -> np.ndarray:
    """Return the image with white letters in a corner."""
    marked = Image.fromarray(image.copy())
    height, width = image.shape
    font = ImageFont.load_default(size=max(8, round(0.09 * height)))
    place = (0.03 * width, 0.02 * height)
    ImageDraw.Draw(marked).text(place, "R 12", fill=255, font=font)
    return np.asarray(marked)


def chain(*plants: Plant) -> Plant:
    """Return one plant after the other."""

    def apply(image: np.ndarray) -> np.ndarray:
        for plant in plants:
            image = plant(image)
        return image

    return apply


jpeg = partial(partial, encoded, form="JPEG")

# Those whose recall a test holds at 1.
HELD: Mapping[str, Plant] = {
    "identical": np.copy,
    "JPEG quality 90": jpeg(quality=90),
    "JPEG quality 50": jpeg(quality=50),
    "JPEG quality 30": jpeg(quality=30),
    "WebP quality 50": partial(encoded, form="WEBP", quality=50),
    "resized × 0.5": partial(resized, high=0.5, wide=0.5),
    "resized × 0.75": partial(resized, high=0.75, wide=0.75),
    "resized × 2": partial(resized, high=2, wide=2),
    "resized × 0.6 and × 0.9": partial(resized, high=0.6, wide=0.9),
    "brightness + 30": partial(intensities, gain=1, offset=30),
    "brightness − 30": partial(intensities, gain=1, offset=-30),
    "brightness + 60": partial(intensities, gain=1, offset=60),
    "contrast × 0.5": partial(intensities, gain=0.5, offset=0),
    "contrast × 1.5": partial(intensities, gain=1.5, offset=0),
    "gamma 0.7": partial(gamma, exponent=0.7),
    "gamma 1.5": partial(gamma, exponent=1.5),
    "flipped horizontally": np.fliplr,
    "flipped vertically": np.flipud,
    "rotated by 90°": np.rot90,
    "rotated by 180°": partial(np.rot90, k=2),
    "rotated by 270°": partial(np.rot90, k=3),
    "rotated by 90°, JPEG 50": chain(np.rot90, jpeg(quality=50)),
    "flipped, brightness + 30, JPEG 50": chain(
        np.fliplr, partial(intensities, gain=1, offset=30), jpeg(quality=50)
    ),
}
# Harder ones, measured and reported.
HARD: Mapping[str, Plant] = {
    "JPEG quality 20": jpeg(quality=20),
    "JPEG quality 10": jpeg(quality=10),
    "resized × 0.33": partial(resized, high=0.33, wide=0.33),
    "contrast × 2": partial(intensities, gain=2, offset=0),
    "gamma 2": partial(gamma, exponent=2),
    "noise of σ 5": partial(noisy, sigma=5),
    "padded by 5 %": partial(padded, top=0.05, bottom=0.05, left=0.05, right=0.05),
    "padded by 25 %": partial(padded, top=0.25, bottom=0.25, left=0.25, right=0.25),
    "padded unevenly": partial(padded, top=0.3, bottom=0, left=0.1, right=0.2),
    "padded in white": partial(padded, top=0.1, bottom=0.1, left=0.1, right=0.1, value=255),
    "padded by 10 %, JPEG 50": chain(
        partial(padded, top=0.1, bottom=0.1, left=0.1, right=0.1), jpeg(quality=50)
    ),
    "padded by 25 %, rotated by 90°": chain(
        partial(padded, top=0.25, bottom=0.25, left=0.25, right=0.25), np.rot90
    ),
    "resized × 0.5, JPEG 30": chain(partial(resized, high=0.5, wide=0.5), jpeg(quality=30)),
}
# Those that need registration, or an account of sharpness.
ALTERED: Mapping[str, Plant] = {
    "unsharp mask 150 %": partial(filtered, kernel=ImageFilter.UnsharpMask(2, 150, 3)),
    "sharpened (3 × 3)": partial(filtered, kernel=ImageFilter.SHARPEN),
    "edges enhanced (3 × 3)": partial(filtered, kernel=ImageFilter.EDGE_ENHANCE),
    "blurred, σ 1": partial(filtered, kernel=ImageFilter.GaussianBlur(1)),
    "blurred, σ 2": partial(filtered, kernel=ImageFilter.GaussianBlur(2)),
    "equalised": equalised,
    "locally equalised (CLAHE)": locally_equalised,
    "gamma 0.5": partial(gamma, exponent=0.5),
    "cropped by 2 % on every side": partial(cropped, share=0.02),
    "cropped by 4 % on every side": partial(cropped, share=0.04),
    "cropped by 8 % on every side": partial(cropped, share=0.08),
    "turned by 1°": partial(turned, degrees=1),
    "turned by 3°": partial(turned, degrees=3),
    "turned by 5°": partial(turned, degrees=-5),
    "shifted by 4 %": partial(shifted, down=0.04, right=-0.02),
    "shifted by 8 %": partial(shifted, down=0, right=0.08),
    "marked in a corner": marked,
    "flipped, turned by 3°": chain(np.fliplr, partial(turned, degrees=3)),
    "turned by 3°, unsharp mask 150 %": chain(
        partial(turned, degrees=3),
        partial(filtered, kernel=ImageFilter.UnsharpMask(2, 150, 3)),
    ),
    "cropped by 4 %, JPEG 50": chain(partial(cropped, share=0.04), jpeg(quality=50)),
}
# No copies: the same slice with something else in it, which must not be taken for one.
OTHERS: Mapping[str, Plant] = {
    f"with a disc of radius {100 * share:g} %": partial(with_lesion, radius=share)
    for share in (0.02, 0.04, 0.08)
}
# Done to every image of a clean collection; none of them then is a copy of another.
EVERYWHERE: Mapping[str, Plant] = {
    "clean, all padded by 25 %": HARD["padded by 25 %"],
    "clean, all with a white border": partial(
        padded, top=0.02, bottom=0.02, left=0.02, right=0.02, value=255
    ),
}
