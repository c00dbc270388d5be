"""A device, a fold or a division that cannot be is told in one line before anything is trained."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


def test_a_gpu_that_is_not_there(run_toy):
    ended = run_toy("--device", "cuda:99")
    assert ended.code == 4
    assert "CUDA GPUs; use --device cpu" in ended.err
    assert run_toy("--device", "tpu9000").code == 2


@pytest.mark.parametrize("device", ["gpu", "mps", "cuda:x", "CPU"])
def test_a_device_that_does_not_exist_is_refused_before_anything_is_read(run_toy, device):
    ended = run_toy("--device", device)
    assert ended.code == 2
    assert "expected auto, cpu, cuda or cuda:N" in ended.err
    assert "preparing data" not in ended.err


def test_a_gpu_is_what_other_programs_call_cuda(run_toy):
    assert "GPU is cuda" in run_toy("--device", "gpu").err


@pytest.mark.parametrize(
    ("split", "fold", "refusal"),
    [
        ("", 1, "no fold 1: protocol fast has 1, numbered from 0"),
        ("scheme = 'kfold'\nrepeats = 2", 10, "no fold 10: protocol fast has 10,"),
    ],
)
def test_a_fold_that_does_not_exist_is_refused_before_data_are_opened(
    run_toy, fast_protocol, monkeypatch, split, fold, refusal
):
    monkeypatch.setattr(
        "mritk.study.plan.open_datasets", lambda *_: pytest.fail("the data were opened")
    )
    fast_protocol.write_text(f"{fast_protocol.read_text()}\n[split]\n{split}\n")
    ended = run_toy("--fold", fold)
    assert ended.code == 2
    assert refusal in ended.err


def test_a_fold_of_sites_is_refused_before_data_are_audited(
    run_toy, toy, fast_protocol, monkeypatch
):
    monkeypatch.setattr("mritk.study.plan.audit", lambda *_: pytest.fail("the data were audited"))
    sites = "sites=['east', 'west'] * 45,\n        patients="
    toy.write_text(toy.read_text().replace("patients=", sites).replace("i // 3", "i"))
    fast_protocol.write_text(f"{fast_protocol.read_text()}\n[split]\nscheme = 'site'\n")
    ended = run_toy("--fold", 2)
    assert ended.code == 2
    assert "no fold 2: protocol fast has 2 on bands" in ended.err


def test_data_that_cannot_be_divided_are_named_among_several(mritk, toy, tmp_path):
    for label in "ab":
        (tmp_path / "few" / label).mkdir(parents=True)
        for number in range(2):
            pixels = np.random.default_rng([ord(label), number]).integers(0, 256, (40, 40))
            image = Image.fromarray(pixels.astype(np.uint8))
            image.save(tmp_path / "few" / label / f"{number}.png")
    data = ("-d", "bands", "-d", f"folder:{tmp_path}/few", "--no-patient-ids")
    ended = mritk("run", "-p", toy, "-b", "tiny", *data, "-n")
    assert ended.code == 2
    assert "mritk: folder:few: class 'a' has 2 samples" in ended.err


def test_a_batch_that_the_training_part_cannot_fill_is_told_before_training(run_toy, fast_protocol):
    assert "batch_size" not in run_toy("-n").err
    text = fast_protocol.read_text().replace("batch_size = 16", "batch_size = 58")
    fast_protocol.write_text(text)
    told = run_toy("-n").err
    assert "batch_size = 58 exceeds the 57 training samples, so each batch has" in told


def test_a_backbone_that_the_protocol_does_not_take_is_refused_if_typed(mritk, toy, tmp_path):
    call = ("run", "-p", toy, "-d", "bands", "--protocol", "threshold", "--dry-run")
    ended = mritk(*call, "-b", "tiny")
    assert ended.code == 2
    assert "no backbone is used by threshold, so --backbone tiny would change nothing" in ended.err
    (tmp_path / "study.toml").write_text('backbones = ["tiny"]\n')
    assert "no backbone is used" not in mritk(*call, tmp_path / "study.toml").err
