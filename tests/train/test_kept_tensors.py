"""Networks that make tensors in a pass, and keep them as buffers: counts, grids, running means."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mritk.model.late_buffers import make_room

NETWORK = '''
def build_tiny():
    import torch
    from torch import nn

    class Network(nn.Module):
        """Counts its passes, and keeps the mean of the first image that it sees."""

        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d((3, 1)), nn.Flatten()
            )
            self.register_buffer("passes", torch.zeros(()))
            self.register_buffer("mean", None)

        def forward(self, batch):
            self.passes = self.passes + 1
            if self.mean is None:
                self.mean = batch[:1].detach().mean()
            return self.body(batch - self.mean)

    return Network()


@hookimpl
def mritk_epoch_end(epoch):
    from pathlib import Path

    once = Path(__file__).with_name("stop")
    if epoch.epoch == 2 and once.exists():
        once.unlink()
        raise KeyboardInterrupt
'''


@pytest.fixture
def keeping(toy):
    """The toy plugin, whose network keeps tensors of its passes."""
    toy.write_text(toy.read_text() + NETWORK)
    return toy


@pytest.mark.slow
@pytest.mark.usefixtures("keeping")
def test_it_trains_stops_resumes_and_its_model_is_exported(mritk, run_toy, tmp_path, keeping):
    (tmp_path / "stop").touch()
    assert run_toy("--seeds", 1, "--keep-models").code == 130
    assert list((tmp_path / "results/checkpoints").iterdir())
    ended = run_toy("--seeds", 1, "--keep-models")
    assert ended.code == 0, ended.err
    trial = next((tmp_path / "results/trials").iterdir()).stem
    file = tmp_path / "tiny.safetensors"
    told = mritk("export", trial, "--results", tmp_path / "results", "-p", keeping, "-o", file)
    assert told.code == 0, told.err


class Late(nn.Module):
    """Has one buffer that is not there yet."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.register_buffer("mean", None)


def test_a_buffer_that_is_not_there_yet_is_loaded():
    network = nn.Sequential(Late(), Late())
    state = nn.Sequential(Late(), Late()).state_dict() | {"1.mean": torch.tensor([3.0, 4.0])}
    make_room(network, state)
    network.load_state_dict(state)
    assert network[1].mean.tolist() == [3.0, 4.0]
    assert network[0].mean is None


def test_a_name_that_the_network_does_not_register_is_still_refused():
    network = Late()
    state = network.state_dict() | {"variance": torch.zeros(2)}
    make_room(network, state)
    with pytest.raises(RuntimeError, match="variance"):
        network.load_state_dict(state)
