"""What a plugin sets for the whole process is gone when the next trial begins."""

from __future__ import annotations

import os
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from mritk.machine.usual_state import NUMPY, undisturbed, usual_products, usual_torch
from mritk.store.folder import ResultsFolder
from tests.trial_essence import essence

SETTING = """
import os
import torch
from mritk import Architecture, InputContract, hookimpl
from toy import build_tiny


def build():
    {line}
    return build_tiny()


@hookimpl
def mritk_backbones():
    yield Architecture("a_first", build, InputContract(32, (0.5,) * 3, (0.5,) * 3), summary="x")
"""

LINES = {
    "dtype": "torch.set_default_dtype(torch.float64)",
    "device": "torch.set_default_device('meta')",
    "gradients": "torch.set_grad_enabled(False)",
    "folder": "os.chdir('/')",
    "errors of NumPy": "__import__('numpy').seterr(all='raise')",
}


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_the_next_trial_is_the_same_as_alone(run_toy, toy, tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(toy.parent)
    (tmp_path / "first.py").write_text(SETTING.format(line=line))
    run_toy("-p", "first.py", "-b", "a_first", "--seeds", 1, "-o", "both")
    assert run_toy("--seeds", 1, "-o", "alone").code == 0
    name = next(ResultsFolder(tmp_path / "alone").trials()).id
    both, alone = essence(tmp_path / "both"), essence(tmp_path / "alone")
    assert len(both) == 2
    assert both[name] == alone[name]


@pytest.fixture
def float64_on_meta():
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)


@pytest.mark.usefixtures("float64_on_meta")
def test_the_state_around_is_restored():
    threads = torch.get_num_threads()

    @usual_torch()
    def made():
        layer = torch.nn.Linear(2, 2)
        torch.set_default_dtype(torch.float16)
        torch.set_grad_enabled(False)
        torch.set_num_threads(threads + 1)
        return layer.weight

    meta = partial(torch.device, "meta")
    for context in (torch.no_grad, torch.inference_mode, torch.enable_grad, meta):
        with context():
            before = torch.is_grad_enabled()
            weight = made()
            assert (weight.dtype, weight.device.type) == (torch.float32, "cpu")
            assert not weight.is_inference()
            assert torch.is_grad_enabled() is before
        assert torch.get_num_threads() == threads
        assert torch.get_default_dtype() is torch.float64
        assert torch.get_default_device().type == "meta"


def set_newly():
    """As torch 2.9 and newer have it; earlier ones have the older way alone."""
    if not hasattr(torch.backends.cudnn, "conv"):
        pytest.skip("there is one way")
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    torch.backends.cudnn.conv.fp32_precision = "ieee"


@pytest.mark.parametrize(
    ("set_another", "after"),
    [
        (lambda: torch.set_float32_matmul_precision("high"), ("high", True)),
        (lambda: setattr(torch.backends.cudnn, "allow_tf32", False), ("highest", False)),
        (set_newly, ("highest", True)),
    ],
    ids=["matrices", "convolutions", "newly"],
)
@pytest.mark.filterwarnings("ignore:Please use the new API")
def test_products_have_torchs_own_precision_whoever_set_another(set_another, after):
    def products():
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32

    try:
        set_another()
        with usual_products():
            assert products() == ("highest", True)
            torch.set_float32_matmul_precision("medium")
        assert products() == after
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = True


@pytest.mark.parametrize("around", [nullcontext, partial(torch.device, "meta")])
def test_a_default_device_that_is_set_inside_ends_there(around):
    with around():
        before = torch.get_default_device()
        with pytest.raises(KeyError), usual_torch():
            torch.set_default_device("meta")
            raise KeyError
        assert torch.get_default_device() == before
    assert torch.get_default_device().type == "cpu"
    assert torch.zeros(1).device.type == "cpu"


def test_a_folder_that_has_gone_is_no_error(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with undisturbed():
        os.chdir(tmp_path)


def test_what_numpy_does_about_errors_is_restored():
    with np.errstate(over="raise", under="print"):
        before = np.geterr()
        with pytest.raises(KeyError), undisturbed():
            np.seterr(all="raise")
            raise KeyError
        assert np.geterr() == before
    assert np.geterr() == NUMPY, "as NumPy has it by default"


AT_IMPORT = """
import os
import numpy as np
from PIL import ImageFile
from mritk import hookimpl

os.chdir("/")
np.seterr(all="raise")
ImageFile.LOAD_TRUNCATED_IMAGES = True


@hookimpl
def mritk_metrics():
    os.chdir("/")
    return ()
"""


@pytest.mark.slow
def test_what_a_plugin_sets_when_it_is_imported_changes_no_audit(mritk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
    (tmp_path / "theirs.py").write_text(AT_IMPORT)
    for number in range(8):
        path = tmp_path / "images" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[:900])
    found = [
        mritk(*first, "audit", "folder:images", "--json") for first in ((), ("-p", "theirs.py"))
    ]
    assert [one.code for one in found] == [1, 1]
    assert "b/7.png (image file is truncated)" in found[0].out
    assert found[0].out == found[1].out
