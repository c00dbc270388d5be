"""Newton directions of logistic regressions, for where a quasi-Newton method is slow.

They are found by conjugate gradients (Lin, Weng, Keerthi, 2008, JMLR 9:627) for all penalties at
once, preconditioned by the Hessian's blocks of single classes, each factorised by Cholesky. So the
condition of the features does not matter; what is left to the conjugate gradients is how classes
act on each other.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from mritk.probe.logistic_loss import products

MAX_CONJUGATE = 250
# Of the gradient's norm, as the preconditioner measures it, what a direction may leave.
SHARE = 0.01
# Of the largest curvature in a block: keeps it positive definite where all else rounds to zero.
RIDGE = 1e-11
# Bytes of the factorised blocks that are held at once; those of one penalty are in any case.
BLOCK_BYTES = 1 << 29


def newton_directions(
    table: torch.Tensor,
    weights: torch.Tensor,
    chances: torch.Tensor,
    penalty: torch.Tensor,
    gradient: torch.Tensor,
) -> torch.Tensor:
    """Return minus the inverse Hessian times the gradient, (A, R, classes), nearly.

    Args:
        table: (N, R) float64 features.
        weights: (N,) of the samples.
        chances: (A, N, classes) predicted probabilities.
        penalty: (A, R, 1), not negative.
        gradient: (A, R, classes) of the objectives; rows sum to zero, as do those of the result.
    """
    width, classes = gradient.shape[1:]
    at_once = max(1, BLOCK_BYTES // (8 * classes * width**2))
    parts = zip(
        chances.split(at_once), penalty.split(at_once), gradient.split(at_once), strict=True
    )
    return torch.cat([_directions(table, weights, *part) for part in parts])


def _directions(
    table: torch.Tensor,
    weights: torch.Tensor,
    chances: torch.Tensor,
    penalty: torch.Tensor,
    gradient: torch.Tensor,
) -> torch.Tensor:
    divide = _by_blocks(table, chances * (1 - chances) * weights[:, None], penalty)
    found, rest = torch.zeros_like(gradient), -gradient
    along = divide(rest)
    size = first = (rest * along).sum((1, 2), keepdim=True)
    for _ in range(MAX_CONJUGATE):
        change = products(table, along)
        change = chances * (change - (chances * change).sum(2, keepdim=True))
        bent = products(table.T, weights[:, None] * change) + penalty * along
        # One that has come to its end stays where it is.
        curvature = (along * bent).sum((1, 2), keepdim=True)
        length = torch.where(size > SHARE**2 * first, size / curvature, 0.0)
        found, rest = found + length * along, rest - length * bent
        step = divide(rest)
        before, size = size, (rest * step).sum((1, 2), keepdim=True)
        if (size <= SHARE**2 * first).all():
            break
        along = step + torch.where(before > 0, size / before, 0.0) * along
    return found


def _by_blocks(
    table: torch.Tensor, curvature: torch.Tensor, penalty: torch.Tensor
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that solves each class (column) by its own block of the Hessian."""
    total, _, classes = curvature.shape
    width = table.shape[1]
    factors = table.new_empty(total * classes, width, width)
    for number, own in enumerate(curvature.transpose(1, 2).flatten(0, 1)):
        block = table.T @ (own[:, None] * table)
        block.diagonal().add_(penalty[number // classes, :, 0])
        block.diagonal().add_(RIDGE * block.diagonal().max())
        factors[number] = torch.linalg.cholesky(block)

    def divide(values: torch.Tensor) -> torch.Tensor:
        columns = values.transpose(1, 2).reshape(-1, width, 1)
        solved = torch.cholesky_solve(columns, factors)
        solved = solved.reshape(total, classes, width).transpose(1, 2)
        # To move all classes alike changes no probability: such steps would be ill-conditioned.
        return solved - solved.mean(2, keepdim=True)

    return divide
