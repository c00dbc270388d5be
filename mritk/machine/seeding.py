"""Seeding the draws that use no generator of their own, such as those of dropout."""

from __future__ import annotations

import torch


def seed_draws(seed: int, device: torch.device) -> None:
    """Seed what a computation on ``device`` draws from: the CPU's generator, and the device's.

    ``torch.manual_seed`` does so for every kind of accelerator. For each one that this process does
    not use it keeps the seed, with the stack of its caller, until it does; that takes as long as a
    good part of a small network's step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        generator_of(device).manual_seed(seed)
    elif device.type != "cpu":
        torch.manual_seed(seed)


def generator_of(device: torch.device) -> torch.Generator:
    """Return the generator of a GPU."""
    torch.cuda.init()  # before, there is none
    number = torch.cuda.current_device() if device.index is None else device.index
    return torch.cuda.default_generators[number]
