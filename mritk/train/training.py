"""What a fine-tuning consists of and what stays the same throughout: network, data, objective."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from mritk.batches.inputs import Inputs
from mritk.batches.order import Order, Shuffled
from mritk.batches.resident import ResidentImages
from mritk.batches.views import Images, views_of
from mritk.errors import UsageError
from mritk.method import Setup
from mritk.model.alike import signature
from mritk.model.backbone import LoadedBackbone, load_backbone
from mritk.model.lora import linear_layers
from mritk.model.network import Network, build_head
from mritk.model.objective import Objective
from mritk.protocol.recipe import Recipe
from mritk.seeds import derive
from mritk.train.compiled import CompiledNetwork
from mritk.train.what_trains import trainable_tensors


@dataclass(frozen=True, eq=False)
class Training:
    """The parts of one fine-tuning; only the tensors of the network change.

    Attributes:
        setup: What the method was given.
        loaded: The backbone, within ``network``.
        network: Normalised batch in, logits or standardised values out.
        forward: The network as training steps call it, compiled if the setup says so.
        inputs: The way of images to the network.
        objective: The loss.
        train: Images of the training part.
        val: Images of the validation part.
        order: Which images make each batch.
        said: Why steps could not be recorded as graphs; each reason is told once.
    """

    setup: Setup
    loaded: LoadedBackbone
    network: Network
    forward: Callable[[torch.Tensor], torch.Tensor]
    inputs: Inputs
    objective: Objective
    train: ResidentImages
    val: ResidentImages
    order: Order
    said: set[str] = field(default_factory=set)

    @property
    def recipe(self) -> Recipe:
        """How the network is trained."""
        return self.setup.parameters

    @property
    def alike(self) -> Hashable:
        """What is equal for trainings whose networks differ in their values alone."""
        parts = self.setup.require_backbone().parts.values()
        made_by = tuple((part.name, str(part.origin)) for part in parts)
        inputs = self.inputs
        shape = inputs.shape(self.train.images.shape)
        return made_by, signature(self.network), shape, inputs.precision, self.setup.device

    @property
    def batch_size(self) -> int:
        """Images of a step, of which there may be fewer than the recipe asks for."""
        return min(self.recipe.batch_size, len(self.train))

    @property
    def evaluated_at_once(self) -> int:
        """Images of a batch of evaluation: where shapes cost, as many as in a step."""
        return self.inputs.evaluated_at_once(self.recipe, len(self.train))

    def with_parts(self, *, head: nn.Module, objective: Objective, order: Order) -> Training:
        """Return the training of a method that brings a head, a loss and batches of its own.

        Args:
            head: Features (N, D) in; in evaluation mode outputs (N, K) out, in training mode what
                ``objective.loss`` takes.
            objective: The loss.
            order: Which images make each batch.
        """
        network = self.inputs.place(Network(self.loaded.network, head))
        forward = _forward(network, self.setup)
        return replace(self, network=network, forward=forward, objective=objective, order=order)

    def compute(self, images: torch.Tensor) -> torch.Tensor:
        """Return the float32 outputs of a training step for images (N, C, *spatial) in [0, 1]."""
        return self.inputs.compute(self.forward, images)

    def evaluate(self, images: Images) -> torch.Tensor:
        """Return the float32 outputs for all images, in evaluation mode."""
        return self.inputs.evaluate(self.network, images, self.evaluated_at_once)


def prepare(setup: Setup) -> Training:
    """Load the backbone, put a head on it, and place the data.

    Raises:
        Unavailable: The backbone's weights are not here.
        WeightsMismatch: They do not fit.
        UsageError: What could only fail after stages of training: a stage adapts linear layers or
            trains biases that are not there, or scores are to be a mean over draws of an
            augmentation, and there is none.
    """
    recipe: Recipe = setup.parameters
    inputs = Inputs(setup)
    loaded = load_backbone(setup.require_backbone(), setup.workspace, setup.seed, inputs.size)
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(derive(setup.seed, "head"))
        head = build_head(loaded.num_features, setup.task.outputs, recipe.head)
    network = inputs.place(Network(loaded.network, head))
    training = Training(
        setup=setup,
        loaded=loaded,
        network=network,
        forward=_forward(network, setup),
        inputs=inputs,
        objective=Objective(
            setup.task, setup.train.targets, setup.device, **Objective.arguments_of(recipe)
        ),
        train=inputs.resident(setup.train),
        val=inputs.resident(setup.val),
        order=Shuffled(len(setup.train), recipe.batch_size, setup.seed, recipe.last_batch),
    )
    for stage in recipe.stages:
        if stage.tune == "lora":
            linear_layers(loaded.network, trainable_tensors(loaded, stage))
        if stage.tune == "biases" and stage.train_last and not trainable_tensors(loaded, stage):
            raise UsageError(
                "tune = 'biases' would train the head alone, because the trained layers of the "
                "backbone have no bias that may change; use tune = 'all', or train_last = 0"
            )
    views_of(training.val, recipe, setup)
    return training


def _forward(network: nn.Module, setup: Setup) -> nn.Module | CompiledNetwork:
    """Return the network as training steps call it."""
    if not setup.compile:
        return network
    return CompiledNetwork(network, setup.workspace.folder("compiled"))
