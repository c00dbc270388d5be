"""The stock protocols of volumes: read whole, and what each of them is."""

from __future__ import annotations

import pytest

from mritk.study.benchmark import find_protocol
from mritk_volumes import PROTOCOLS


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_is_read_and_predicts_on_volumes_alone(name, registry):
    protocol = find_protocol(name, registry)
    assert protocol.summary or PROTOCOLS[name]
    assert protocol.volume_size in (128, None)
    assert registry.method(protocol.method).origin == registry.protocol(name).origin or (
        protocol.method == "finetune"
    )


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name.startswith("volumes_")][:3])
def test_predicted_distributions_are_of_the_same_recipe(name, registry):
    plain, other = (find_protocol(n, registry) for n in ("volumes", name))
    assert other.parameters.stages == plain.parameters.stages
    assert other.parameters.batch_size == plain.parameters.batch_size == 8
    (stage,) = plain.parameters.stages
    assert (stage.schedule, stage.step_factor, stage.step_epochs) == ("step", 0.9, 10)
    assert (stage.learning_rate, stage.weight_decay) == (1e-4, 5e-5)
