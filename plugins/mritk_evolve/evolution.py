"""Evolution: generations until the end, scored on the validation set at times."""

from __future__ import annotations

import time

import torch
from torch import nn

from mritk import Epoch, Setup, derive
from mritk.train import BestState, Inputs, Network, Objective, load_backbone, repeatable
from mritk_evolve.evolved import Evolved, Parts
from mritk_evolve.genome import Genome, require_evolvable
from mritk_evolve.line import Line
from mritk_evolve.outside import warn_of_home
from mritk_evolve.parameters import Evolution
from mritk_evolve.population import Population


def fit_evolve(setup: Setup) -> Evolved:
    """Evolve the weights of backbone and head; keep the parent that the selection rule wants.

    Raises:
        UsageError: The backbone has BatchNorm.
        Unavailable: Its weights are missing.
    """
    require_evolvable(setup.require_backbone())
    sites = (part.samples.sites for part in (setup.train, setup.val))
    warn_of_home(setup.parameters.home_site, *sites)
    with repeatable(setup.device, deterministic=setup.deterministic):
        return _evolve(setup)


def _evolve(setup: Setup) -> Evolved:
    own: Evolution = setup.parameters
    parts, checkpoint = _start(setup), setup.checkpoint
    inputs, objective = parts.inputs, parts.objective
    network, genome = parts.network, parts.genome
    train, val = inputs.resident(setup.train), inputs.resident(setup.val)
    targets, at_once = objective.targets, own.eval_batch_size
    population = Population(network, genome, inputs, train, targets, at_once)
    line = Line(genome.read(), own, setup.seed, population)
    start, best = line.parent.cpu(), BestState(setup.selection, setup.task)
    saved = checkpoint.load() if checkpoint is not None else None
    if saved is not None:
        line.load(saved["line"])
        best.load(saved["best"])

    began = time.perf_counter()
    while line.generation < own.generations:
        line.advance()
        epoch, left = divmod(line.generation, own.report_every)
        if not left:
            genome.write(line.parent)
            outputs = inputs.evaluate(network, val, at_once)
            val_loss = float(objective.plain_loss(outputs, objective.prepare(setup.val.targets)))
            value = best.measure(val_loss, objective.scores(outputs), setup.val.targets)
            best.offer(epoch, value, network)
            now = time.perf_counter()
            setup.on_epoch(
                Epoch(
                    epoch=epoch,
                    epochs=own.epochs,
                    stage="evolution",
                    learning_rate=0.0,
                    train_loss=float(line.fitness.loss),
                    val_loss=val_loss,
                    selection=value,
                    seconds=now - began,
                    extra={
                        "generation": line.generation,
                        "train accuracy": float(line.fitness.correct) / len(train),
                        "sigma": own.sigma_of(line.generation),
                    },
                )
            )
            began = now
        ended = not left and getattr(checkpoint, "worthwhile", True)
        if checkpoint is not None and (ended or checkpoint.due):
            checkpoint.save({"line": line.state(), "best": best.state()})

    genome.write(line.parent)
    best.restore(network)
    selected = best.epoch if setup.selection.on == "val" and best.epoch else own.epochs
    folded = line.folded_until(selected * own.report_every)
    return Evolved(parts, best, start, folded)


def _start(setup: Setup) -> Parts:
    """Return what is evolved, with the network of the first parent in evaluation mode."""
    backbone, inputs = setup.require_backbone(), Inputs(setup)
    loaded = load_backbone(backbone, setup.workspace, setup.seed, inputs.size)
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(derive(setup.seed, "head"))
        head = nn.Sequential(nn.Linear(loaded.num_features, setup.task.outputs))
    network = inputs.place(Network(loaded.network, head)).eval()
    network.requires_grad_(requires_grad=False)
    return Parts(
        setup=setup,
        inputs=inputs,
        objective=Objective(setup.task, setup.train.targets, setup.device),
        network=network,
        genome=Genome(network, frozenset(f"backbone.{name}" for name in loaded.fixed)),
        weights=loaded.report.as_dict() if loaded.report else None,
    )
