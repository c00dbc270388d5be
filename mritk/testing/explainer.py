"""What every explainer promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mritk.records import Explainer
from mritk.testing.check import Defect, UnderTest, equal, is_sent_to_workers, promises, ranks_of

if TYPE_CHECKING:
    import torch

COUNT, OUTPUTS, SIDE = 3, 4, 12
CLOSE = 1e-4


class ExplainerUnderTest(UnderTest[Explainer]):
    """An explainer, and small networks with inputs for it."""

    def case(self, dims: int, seed: int = 0) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
        """Return a small network in evaluation mode, three inputs, and the outputs to explain."""
        import torch
        from torch import nn

        convolution = nn.Conv2d if dims == 2 else nn.Conv3d
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            layers = [convolution(1, 4, 3), nn.ReLU(), nn.Flatten()]
            network = nn.Sequential(*layers, nn.Linear(4 * (SIDE - 2) ** dims, OUTPUTS)).eval()
        generator = torch.Generator().manual_seed(1)
        batch = torch.randn((COUNT, 1, *[SIDE] * dims), generator=generator)
        return network, batch, torch.arange(COUNT)

    def explain(
        self, network: torch.nn.Module, batch: torch.Tensor, outputs: torch.Tensor
    ) -> torch.Tensor:
        """Explain a copy of the batch."""
        import torch

        found = self.record.explain(network, batch.clone(), outputs.clone())
        if not isinstance(found, torch.Tensor):
            raise Defect(f"it returns {type(found).__name__}, not a tensor")
        return found


def attributions_have_the_shape_of_the_input(it: ExplainerUnderTest) -> None:
    """They are finite float32 of shape (N, C, *spatial), detached from the graph."""
    import torch

    for dims in ranks_of(it.record):
        network, batch, outputs = it.case(dims)
        found = it.explain(network, batch, outputs)
        if found.shape != batch.shape or found.dtype != torch.float32:
            raise Defect(f"{tuple(batch.shape)} gives {found.dtype} {tuple(found.shape)}")
        if found.requires_grad or not found.isfinite().all():
            raise Defect("attributions are not finite, or require gradients; detach them")


def the_same_input_has_the_same_attribution(it: ExplainerUnderTest) -> None:
    """Two calls are equal, whatever the global generators hold."""
    import torch

    for dims in ranks_of(it.record):
        case = it.case(dims)
        first = it.explain(*case)
        torch.manual_seed(99)
        if not equal(first, it.explain(*case)):
            raise Defect("two calls differ; use a generator with a fixed seed")


def it_looks_at_the_weights(it: ExplainerUnderTest) -> None:
    """Another network gives other attributions (the randomisation test of Adebayo et al., 2018)."""
    import torch

    for dims in ranks_of(it.record):
        (one, batch, outputs), (other, _, _) = it.case(dims), it.case(dims, seed=1)
        if torch.allclose(it.explain(one, batch, outputs), it.explain(other, batch, outputs)):
            raise Defect("attributions do not depend on the weights")


def it_looks_at_the_output_that_is_asked_for(it: ExplainerUnderTest) -> None:
    """Another output has other attributions."""
    import torch

    for dims in ranks_of(it.record):
        network, batch, outputs = it.case(dims)
        other = it.explain(network, batch, (outputs + 1) % OUTPUTS)
        if torch.allclose(it.explain(network, batch, outputs), other):
            raise Defect("attributions do not depend on the output")


def keeps_images_apart(it: ExplainerUnderTest) -> None:
    """The attribution of an input does not depend on the others of its batch."""
    for dims in ranks_of(it.record):
        network, batch, outputs = it.case(dims)
        together = it.explain(network, batch, outputs)
        alone = it.explain(network, batch[:1], outputs[:1])
        if float((alone - together[:1]).abs().max()) > CLOSE * float(together.abs().max()):
            raise Defect("an attribution depends on other inputs of the batch")


def leaves_the_network_as_it_was(it: ExplainerUnderTest) -> None:
    """Weights, gradients, layers, training mode and hooks, and the batch, are as before."""
    from mritk.explain.lent_network import LentNetwork

    for dims in ranks_of(it.record):
        network, batch, outputs = it.case(dims)
        lent, given = LentNetwork(network), batch.clone()
        it.record.explain(network, given, outputs)
        if not equal(given, batch):
            raise Defect("it modifies the batch; copy it first")
        if changed := lent.beyond_a_pass(lent.restore(), batch):
            raise Defect(f"it changes the network: {', '.join(changed)}")


CHECKS = (*promises(__name__), is_sent_to_workers)


def check_explainer(explainer: Explainer) -> None:
    """Check an explainer, as ``registry.explainer(name)`` returns it.

    Raises:
        Nonconforming: It breaks a promise of :data:`CHECKS`; all that were found are listed.
    """
    ExplainerUnderTest(explainer).require(CHECKS)
