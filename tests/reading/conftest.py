"""Image files, written for a test."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def stored(tmp_path):
    def save(image, name="image.png", **options):
        image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save
