"""Newton directions of a logistic regression, for where a quasi-Newton method is slow.

They are found by conjugate gradients (Lin, Weng, Keerthi, 2008, JMLR 9:627), preconditioned by the
Hessian's blocks of single classes, each factorised by Cholesky. So the condition of the features
does not matter; what is left to the conjugate gradients is how classes act on each other.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

MAX_CONJUGATE = 250
# Of the gradient's norm, as the preconditioner measures it, what a direction may leave.
SHARE = 0.01
# Of the largest curvature in a block: keeps it positive definite where all else rounds to zero.
RIDGE = 1e-11


def newton_direction(
    table: torch.Tensor,
    weights: torch.Tensor,
    chances: torch.Tensor,
    penalty: torch.Tensor,
    gradient: torch.Tensor,
) -> torch.Tensor:
    """Return minus the inverse Hessian times the gradient, (R, classes), nearly.

    Args:
        table: (N, R) float64 features.
        weights: (N,) of the samples.
        chances: (N, classes) predicted probabilities.
        penalty: (R, 1), not negative.
        gradient: (R, classes) of the objective; rows sum to zero, and so do those of the result.
    """
    divide = _by_blocks(table, chances * (1 - chances) * weights[:, None], penalty)
    tiny = torch.finfo(table.dtype).tiny
    found, rest = torch.zeros_like(gradient), -gradient
    along = divide(rest)
    size = first = (rest * along).sum()
    for _ in range(MAX_CONJUGATE):
        change = table @ along
        change = chances * (change - (chances * change).sum(1, keepdim=True))
        bent = table.T @ (weights[:, None] * change) + penalty * along
        length = size / (along * bent).sum().clamp(min=tiny)
        found, rest = found + length * along, rest - length * bent
        step = divide(rest)
        before, size = size, (rest * step).sum()
        if size <= SHARE**2 * first:
            break
        along = step + size / before * along
    return found


def _by_blocks(
    table: torch.Tensor, curvature: torch.Tensor, penalty: torch.Tensor
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that solves each class (column) by its own block of the Hessian."""
    factors = []
    for own in curvature.T:
        block = table.T @ (own[:, None] * table)
        block.diagonal().add_(penalty[:, 0])
        block.diagonal().add_(RIDGE * block.diagonal().max())
        factors.append(torch.linalg.cholesky(block))
    stacked = torch.stack(factors)

    def divide(values: torch.Tensor) -> torch.Tensor:
        solved = torch.cholesky_solve(values.T[:, :, None], stacked)[:, :, 0].T
        # To move all classes alike changes no probability: such steps would be ill-conditioned.
        return solved - solved.mean(1, keepdim=True)

    return divide
