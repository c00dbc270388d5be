"""A device that runs out of memory: what the trial file says, and what a person is told."""

from __future__ import annotations

import pytest

from mritk.store.folder import ResultsFolder

HUNGRY = """

def build_hungry(norm):
    import torch
    from torch import nn

    class Hungry(nn.Sequential):
        def forward(self, batch):
            if len(batch) > 4 and torch.is_grad_enabled():
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return super().forward(batch)

    norms = {"batch": nn.BatchNorm2d(8), "group": nn.GroupNorm(2, 8)}
    layers = nn.Conv2d(3, 8, 4, 4), norms[norm], nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten()
    return Hungry(*layers)


@hookimpl(specname="mritk_backbones")
def hungry_backbones():
    from functools import partial

    contract = InputContract(32, (0.5,) * 3, (0.5,) * 3)
    yield Architecture("divisible", partial(build_hungry, "group"), contract)
    yield Architecture("whole", partial(build_hungry, "batch"), contract)
"""


def only_trial(tmp_path):
    (trial,) = ResultsFolder(tmp_path / "results").trials()
    return trial


@pytest.fixture
def run_hungry(mritk, toy, fast_protocol, tmp_path):
    toy.write_text(toy.read_text() + HUNGRY)

    def run(backbone):
        base = ("run", "-p", toy, "-b", backbone, "-d", "bands", "--protocol", fast_protocol)
        return mritk(*base, "-o", tmp_path / "results", "--device", "cpu", "--seeds", 1)

    return run


@pytest.mark.slow
def test_the_trial_file_tells_how_a_batch_was_divided(run_hungry, tmp_path):
    assert run_hungry("divisible").code == 0
    assert only_trial(tmp_path).notes["micro_batch_size"] == 4


@pytest.mark.slow
def test_a_batch_that_must_not_be_divided_ends_with_4_and_says_what_to_do(run_hungry, tmp_path):
    ended = run_hungry("whole")
    assert ended.code == 4
    assert (
        "failed: whole@scratch on bands seed 0: the device ran out of memory with batch size 16"
        in ended.err
    )
    assert "batch_norm = 'frozen'" in ended.err
    assert only_trial(tmp_path).failure.type == "OutOfMemory"


@pytest.mark.slow
def test_a_batch_that_does_not_fit_is_told_with_what_would(run_hungry, monkeypatch):
    monkeypatch.setattr("mritk.train.memory.available_bytes", lambda: 10 << 20)
    ended = run_hungry("whole")
    assert "There are 0.0 GiB for this training, estimated to fit" in ended.err
    assert "images at once" in ended.err
