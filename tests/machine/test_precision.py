"""bfloat16_norms: normalisations take and return bfloat16; all else is as in bfloat16.

A CPU's autocast leaves normalisations alone. A stand-in does to them what a GPU's does.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from mritk.machine.precision import NORMS as NORMALISATIONS
from mritk.machine.precision import computing_in

PRECISIONS = ("float32", "bfloat16", "bfloat16_norms")
DTYPES = {"float32": torch.float32, "bfloat16": torch.float32, "bfloat16_norms": torch.bfloat16}


class AsOnAGpu(TorchFunctionMode):
    """Under autocast normalisations take and return float32; without, one type only.

    Attributes:
        seen: The types of input, weight and output of each of them.
    """

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func not in NORMALISATIONS:
            return func(*args, **kwargs or {})
        if torch.is_autocast_enabled("cpu"):
            args = [a.float() if isinstance(a, torch.Tensor) else a for a in args]
        given = [a.dtype for a in args if isinstance(a, torch.Tensor)]
        assert len(set(given)) == 1, "a GPU's kernels do not mix types"
        result = func(*args, **kwargs or {})
        self.seen.append({*given, result.dtype})
        return result


NORMS = {
    "LayerNorm": lambda: nn.LayerNorm(8),
    "without weights": lambda: nn.LayerNorm(8, elementwise_affine=False),
    "GroupNorm": lambda: nn.GroupNorm(2, 8),
    "RMSNorm": lambda: nn.RMSNorm(8),
}


def network_of(norm):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), NORMS[norm](), nn.GELU(), nn.Linear(8, 3))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("norm", NORMS)
def test_norms_take_and_return_bfloat16_only_where_it_is_asked_for(norm, precision):
    network = network_of(norm)
    with AsOnAGpu() as gpu, computing_in(precision, "cpu"):
        outputs = network(torch.randn(4, 6))
    assert gpu.seen == [{DTYPES[precision]}]
    assert outputs.dtype == (torch.float32 if precision == "float32" else torch.bfloat16)


def test_their_weights_learn_in_float32():
    network = network_of("LayerNorm")
    with computing_in("bfloat16_norms", "cpu"):
        outputs = network(torch.randn(4, 6))
    outputs.float().square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.dtype == parameter.grad.dtype == torch.float32, name
        assert parameter.grad.abs().sum() > 0, name


def test_a_norm_sums_in_float32():
    """A sum in bfloat16 of 4,096 values would end at a few hundred, and the mean be far off."""
    values = (3 + torch.randn(16, 4096, generator=torch.Generator().manual_seed(0))).bfloat16()
    with computing_in("bfloat16_norms", "cpu"):
        found = functional.layer_norm(values, (4096,))
    wanted = functional.layer_norm(values.double(), (4096,))
    assert found.dtype == torch.bfloat16
    # Half a unit in the last of eight digits, and float32's rounding.
    assert ((found.double() - wanted).abs() <= 2**-8 * wanted.abs() + 1e-5).all()


def test_results_are_near_those_of_bfloat16_and_of_float32():
    network, batch = network_of("LayerNorm"), torch.randn(64, 6)
    found = {}
    with torch.no_grad():
        for precision in PRECISIONS:
            with AsOnAGpu(), computing_in(precision, "cpu"):
                found[precision] = network(batch).float()
    largest = found["float32"].abs().max()
    for precision in ("bfloat16", "bfloat16_norms"):
        assert (found[precision] - found["float32"]).abs().max() <= 0.02 * largest
    assert not torch.equal(found["bfloat16"], found["bfloat16_norms"])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("norm", NORMS)
def test_other_precisions_are_torchs_autocast_bit_for_bit(norm, precision):
    network, batch = network_of(norm), torch.randn(4, 6)
    with computing_in(precision, "cpu"):
        found = network(batch)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        assert torch.equal(found, network(batch))


def test_afterwards_nothing_is_left():
    norm = nn.LayerNorm(8)
    with pytest.raises(ZeroDivisionError), computing_in("bfloat16_norms", "cpu"):
        raise ZeroDivisionError
    assert norm(torch.randn(2, 8)).dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.slow
def test_a_compiled_network_computes_its_norms_in_bfloat16_too():
    """Traced without a compiler for the processor, so that none is needed."""
    network, batch = network_of("LayerNorm"), torch.randn(4, 6)
    traced = []

    def keep(module, inputs):
        traced.append(module)
        return module.forward

    torch._dynamo.reset()
    compiled = torch.compile(network, backend=keep, fullgraph=True)
    with torch.no_grad(), computing_in("bfloat16_norms", "cpu"):
        found, wanted = compiled(batch), network(batch)
    torch._dynamo.reset()
    assert torch.equal(found, wanted)
    assert len(traced) == 1
