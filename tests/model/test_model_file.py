"""A stored model is read from a whole file of mritk's, and from no other."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from mritk.errors import WeightsMismatch
from mritk.model.model_file import load_model
from mritk.plugins.registry import Registry


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsMismatch, match="not a model stored by mritk"):
        load_model(path, Registry().backbone)
    path.write_bytes(b"torn")
    with pytest.raises(WeightsMismatch, match="cannot be read as a model"):
        load_model(path, Registry().backbone)
    save_file({"a": torch.zeros(1)}, path, {"format": "mritk"})
    with pytest.raises(WeightsMismatch, match="incomplete"):
        load_model(path, Registry().backbone)
