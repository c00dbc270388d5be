"""A backbone as its checks see it: built once, with inputs as its contract describes them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from mritk.backbone import Backbone
from mritk.errors import Unavailable
from mritk.files.workspace import Workspace
from mritk.images.grid import Grid, Size
from mritk.testing.check import Defect, NotApplicable, UnderTest

if TYPE_CHECKING:
    import torch

ANY_SIDE = 64


class BackboneUnderTest(UnderTest[Backbone]):
    """A backbone, built once for all checks, with two random inputs."""

    def __init__(
        self, backbone: Backbone, workspace: Workspace, *, weights_only: bool = False
    ) -> None:
        super().__init__(backbone)
        self.workspace = workspace
        self.weights_only = weights_only

    @cached_property
    def network(self) -> torch.nn.Module:
        """A freshly built network in evaluation mode, with weights from a fixed seed."""
        return self.build().eval()

    @cached_property
    def second(self) -> torch.nn.Module:
        """Another one that was built in the same way, which sees no batch before the last check."""
        return self.build()

    @cached_property
    def trained(self) -> torch.nn.Module:
        """A third one, which checks pass batches through in training mode."""
        return self.build().train()

    def build(self, seed: int = 0) -> torch.nn.Module:
        """Build the network anew."""
        import torch

        from mritk.model.anew import separate_buffers
        from mritk.model.lazy_layers import is_whole, make_whole

        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            try:
                network = self.record.architecture.build()
            except Unavailable:
                raise
            except (Exception, SystemExit) as error:
                raise Defect(f"it cannot be built: {type(error).__name__}: {error}") from error
            if not isinstance(network, torch.nn.Module):
                kind = type(network).__name__
                raise Defect(f"build() must return a torch.nn.Module, not {kind}")
            separate_buffers(network)
            if not is_whole(network):
                make_whole(network, tuple(self.batch.shape))
        return network

    @cached_property
    def batch(self) -> torch.Tensor:
        """Two normalised inputs as the contract describes them, (2, C, *spatial)."""
        return self.inputs(self.record.input.size or ANY_SIDE)

    @cached_property
    def usual(self) -> torch.Tensor:
        """The features of :attr:`batch`, from one pass that several checks look at."""
        return self.features(self.batch)

    def inputs(self, size: Size) -> torch.Tensor:
        """Return two random inputs of a size."""
        import torch

        dims = self.record.architecture.spatial_dims
        if dims is None:
            raise NotApplicable("the network does not take images")
        try:
            sides = Grid(size).sides(dims)
        except ValueError as error:
            raise Defect(f"the contract does not suit spatial_dims={dims}: {error}") from error
        shape = (2, self.record.input.channels, *(sides or ()))
        return torch.randn(shape, generator=torch.Generator().manual_seed(0))

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the features of a batch in evaluation mode."""
        import torch

        with torch.no_grad():
            return self.network(batch.clone())
