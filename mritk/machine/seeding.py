"""Seeding the draws that use no generator of their own, such as those of dropout."""

from __future__ import annotations

import torch


def seed_draws(seed: int, device: torch.device) -> None:
    """Seed what a computation on ``device`` draws from: the CPU's generator, and the device's.

    ``torch.manual_seed`` does so for every kind of accelerator. For one that this process does not
    use it keeps the seed, with the stack of its caller, until it does; on a CPU that takes as long
    as a good part of a small network's step.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
