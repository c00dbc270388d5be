"""Pictures of explanations: what can be read is shown."""

from __future__ import annotations

import numpy as np

from mritk import Classification, Samples
from mritk.report.overlays import overlays
from mritk.store.explanations import Explanations


def test_a_sample_that_cannot_be_read_stops_no_report():
    ids = ["torn", "whole"]

    def read(row):
        if row == 0:
            raise OSError("torn.png: truncated")
        return np.zeros((8, 8), np.uint8)

    found = Explanations(
        *("0123456789", "sha", "data", ("a", "b")),
        *(ids, ids, ids, np.array([0, 1]), np.array([9, 9])),
        *({"saliency": [np.ones((8, 8))] * 2}, ("dice",), {"saliency": np.ones((2, 1))}),
    )
    samples = Samples(ids, np.array([0, 1]), Classification(("a", "b")), read)
    assert [picture.id for picture in overlays(found, samples)] == ["whole"]
