"""Latency: measured where the network is, larger for larger images, harmless."""

from __future__ import annotations

import torch
from torch import nn

from mritk.train.cost import network_cost
from mritk.train.latency import measure_latency


def convolutions():
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Conv2d(16, 16, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


def test_an_image_with_64_times_the_pixels_takes_longer():
    network = convolutions()
    small, large = (measure_latency(network, (3, side, side)) for side in (32, 256))
    assert 0 < small < large


def test_the_network_and_the_random_numbers_stay_as_they_were():
    network = convolutions().train()
    network[1].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert measure_latency(network, (3, 16, 16)) is not None
    assert torch.equal(torch.rand(1), expected)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(before[n], t) for n, t in network.state_dict().items())


def test_a_network_that_takes_no_such_batch_has_no_latency():
    assert measure_latency(convolutions(), (1, 16, 16)) is None
    assert "latency_seconds" not in network_cost(nn.Linear(3, 2), (5,))


def test_it_is_part_of_the_cost_of_a_trial(run_toy, tmp_path, mritk):
    from mritk.results.folder import ResultsFolder

    assert run_toy("--seeds", 1).code == 0
    (record,) = ResultsFolder(tmp_path / "results").trials()
    assert record.cost["latency_seconds"] > 0
    table = mritk("leaderboard", tmp_path / "results", "--columns", "latency,parameters").out
    assert "latency (ms)" in table
