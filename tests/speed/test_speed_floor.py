"""The floor steps and predicts, and its operations are counted as by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.speed.bare_network import WARM_UP, BareNetwork, count_forward_flops
from benchmarks.speed.limit import MatrixProduct
from tests.train.recorded_work import pretended


def test_operations_of_a_small_network_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 4),
    )  # fmt: skip
    by_hand = 2 * (16 * 16 * 8 * 3 * 9) + 2 * (8 * 4)
    assert count_forward_flops(model, (3, 16, 16), "cpu") == by_hand


@pytest.mark.slow
def test_resnet18_has_its_known_number_of_operations():
    """1.82 G multiply-adds at 224 px with 1000 classes (He et al. 2016, table 1: 1.8e9)."""
    network = BareNetwork("resnet18", size=224, batch=1, steps=1, unseen=0, device="cpu")
    assert abs(network.forward_flops / 2 - 1.814e9) < 0.01e9


@pytest.mark.slow
def test_training_moves_the_weights_and_predicting_does_not():
    network = BareNetwork("small_cnn", size=32, batch=4, steps=2, unseen=300, device="cpu")
    assert [tuple(batch.shape) for batch in network.batches] == [(4, 3, 32, 32)] * 2
    assert all(b.is_contiguous(memory_format=torch.channels_last) for b in network.batches)
    assert [len(part) for part in network.unseen] == [256, 44]

    def state():
        return {name: tensor.clone() for name, tensor in network.model.state_dict().items()}

    before = state()
    network.predict()
    assert all(torch.equal(before[name], tensor) for name, tensor in state().items())
    network.train()
    assert not all(torch.equal(before[name], tensor) for name, tensor in state().items())


@pytest.mark.slow
def test_replayed_steps_are_the_steps():
    """With stand-ins for CUDA; a batch of another size is stepped on, not replayed."""
    ends = []
    for patience in (WARM_UP, 0):
        torch.manual_seed(0)
        network = BareNetwork("small_cnn", size=32, batch=4, steps=3, unseen=0, device="cpu")
        batches = [(images, network.labels) for images in network.batches]
        batches += [(images[:3], network.labels[:3]) for images in network.batches[:1]]
        if patience:
            with pretended() as cuda:
                network.replay_steps()
                network.train_on(batches)
            assert cuda.graphs[0].replays == 3
        else:
            rate = torch.tensor(1e-4)
            parameters = network.model.parameters()
            network.optimiser = torch.optim.AdamW(parameters, lr=rate, fused=True)
            network.train_on(WARM_UP * batches[:1])
            network.train_on(batches)
        ends.append(network.model.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_matrix_product_counts_two_operations_for_each_term():
    product = MatrixProduct(64, "cpu")
    product()
    assert product.flops == 2 * 64**3
