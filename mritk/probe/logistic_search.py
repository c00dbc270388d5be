"""L-BFGS for logistic regression in principal axes, for all penalties at once; then Newton steps.

In the principal axes of the features the Hessian is nearly diagonal: it is at most one half
(Böhning, 1992, Annals of the Institute of Statistical Mathematics 44:197) and typically ``rho``
times the scatter along each axis, plus the penalty, where ``rho`` is the mean variance of the
predicted classes. The inverse of that diagonal, renewed at each step, is the start of the
quasi-Newton update. A penalty that is not done after some hundred steps goes on by Newton
steps (:mod:`mritk.probe.logistic_newton`), of which few are due however the features are scaled.
A search ends when the dual problem proves that it may (:mod:`mritk.probe.logistic_loss`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch

from mritk.probe.logistic_loss import losses, lower_bound, products, residuals
from mritk.probe.logistic_newton import newton_directions

# The largest error of the weights relative to their size, as the duality gap bounds it; the
# objective is then within 1e-10 of its minimum.
TOLERANCE = 1e-5
# The duality gap, relative to the objective, that is good enough whatever the size of the weights.
ROUNDING = 1e-12
MAX_ITERATIONS = 1000
# Steps before Newton's; on a processor at least so many, as one of Newton's costs it more of the
# others the more axes there are. A GPU waits for launches, and one of Newton's has few.
QUASI_NEWTON = {"cpu": 100, "cuda": 40}
# Pairs of steps and changes of the gradient that are remembered.
MEMORY = 10


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Samples in the principal axes of their weighted scatter.

    Attributes:
        table: (N, R + 1) float64; the last column is ones, for the intercept.
        scatter: (R + 1,) weighted sums of squares of the columns, which are uncorrelated.
        weights: (N,) of the samples.
    """

    table: torch.Tensor
    scatter: torch.Tensor
    weights: torch.Tensor


@dataclass(frozen=True, eq=False)
class _State:
    """Where the searches for A penalties stand; all tensors have A as their first dimension.

    Attributes:
        number: (A,) which penalty.
        penalty: (A, R + 1, 1), zero for the intercept.
        point: (A, R + 1, classes).
        logits: (A, N, classes) at the point.
        value: (A,) of the objective.
        gradient: (A, R + 1, classes).
        rho: (A,) mean variance of the predicted classes.
        steps: Steps, each with the change of the gradient along it and the reciprocal of their
            product, oldest first.
    """

    number: torch.Tensor
    penalty: torch.Tensor
    point: torch.Tensor
    logits: torch.Tensor
    value: torch.Tensor
    gradient: torch.Tensor
    rho: torch.Tensor
    steps: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]

    def only(self, chosen: torch.Tensor) -> _State:
        """Return the state of some of the searches; ``chosen`` is a mask (A,)."""
        steps = [_remembered(step[chosen], change[chosen]) for step, change, _ in self.steps]
        tensors = {f.name: getattr(self, f.name)[chosen] for f in fields(self) if f.name != "steps"}
        return _State(**tensors, steps=steps)


class Search:
    """Steps for all penalties at once; those that have converged leave it.

    Attributes:
        iterations: Steps for each penalty.
        converged: Whether each penalty has converged.
    """

    def __init__(
        self, coordinates: Coordinates, is_class: torch.Tensor, penalty: torch.Tensor
    ) -> None:
        """Prepare a search for each ``penalty`` (P,); ``is_class`` (N, classes) is boolean."""
        self._z, self._scatter = coordinates.table, coordinates.scatter
        self._weights, self._is_class = coordinates.weights, is_class
        self._penalty = penalty
        self.iterations = [0] * len(penalty)
        self.converged = [False] * len(penalty)

    def run(self) -> torch.Tensor:
        """Return the solutions, (P, R + 1, classes)."""
        state = self._start()
        quasi_newton = self._quasi_newton()
        solution = torch.zeros_like(state.point)
        for iteration in range(1, MAX_ITERATIONS + 1):
            done = self._has_converged(state)
            for number in state.number[done].tolist():
                self.iterations[number], self.converged[number] = iteration - 1, True
            solution[state.number] = state.point
            if done.all():
                return solution
            state = state.only(~done) if done.any() else state
            early = iteration <= quasi_newton
            state = self._step(state, self._direction(state) if early else self._newton(state))
        solution[state.number] = state.point
        for number in state.number.tolist():
            self.iterations[number] = MAX_ITERATIONS
        return solution

    def _quasi_newton(self) -> int:
        """Return the number of steps before Newton's."""
        kind = self._z.device.type
        on_cpu = max(QUASI_NEWTON["cpu"], self._z.shape[1] // 4)
        return on_cpu if kind == "cpu" else QUASI_NEWTON["cuda"]

    def _start(self) -> _State:
        count, width = self._z.shape
        total = len(self._penalty)
        penalty = self._penalty[:, None, None].repeat(1, width, 1)
        penalty[:, -1] = 0
        point = self._z.new_zeros(total, width, self._is_class.shape[1])
        logits = self._z.new_zeros(total, count, self._is_class.shape[1])
        number = torch.arange(total, device=self._z.device)
        value = self._value(logits, point, penalty)
        return self._state(number, penalty, point, logits, value)

    def _step(self, state: _State, direction: torch.Tensor) -> _State:
        slope = _dot(state.gradient, direction)[:, 0, 0]
        # Logits are linear in the weights: however often the step is shortened, one product is due.
        change = products(self._z, direction)
        length = torch.ones_like(state.value)
        slack = 1e-13 * state.value.abs()  # near the optimum values differ by rounding alone
        for _ in range(40):
            moved = length[:, None, None]
            point, logits = state.point + moved * direction, state.logits + moved * change
            value = self._value(logits, point, state.penalty)
            good = value <= state.value + 1e-4 * length * slope + slack
            if good.all():
                break
            length = torch.where(good, length, length / 2)
        moved_on = self._state(state.number, state.penalty, point, logits, value)
        latest = _remembered(point - state.point, moved_on.gradient - state.gradient)
        return replace(moved_on, steps=[*state.steps, latest][-MEMORY:])

    def _direction(self, state: _State) -> torch.Tensor:
        """Return minus the gradient times the approximate inverse Hessian (Nocedal, 1980)."""
        inverse = 1 / (state.rho[:, None, None] * self._scatter[:, None] + state.penalty)
        vector, shares = -state.gradient, []
        for step, change, reciprocal in reversed(state.steps):
            share = _dot(step, vector) * reciprocal
            vector = vector - share * change
            shares.append(share)
        vector = vector * inverse
        if state.steps:
            step, change, _ = state.steps[-1]
            fit = _dot(step, change) * _reciprocal(_dot(change, inverse * change))
            vector = vector * torch.where(fit > 0, fit, 1.0)
        for (step, change, reciprocal), share in zip(state.steps, reversed(shares), strict=True):
            vector = vector + step * (share - _dot(change, vector) * reciprocal)
        return vector

    def _newton(self, state: _State) -> torch.Tensor:
        """Return the Newton directions."""
        chances = state.logits.softmax(2)
        return newton_directions(self._z, self._weights, chances, state.penalty, state.gradient)

    def _value(
        self, logits: torch.Tensor, point: torch.Tensor, penalty: torch.Tensor
    ) -> torch.Tensor:
        of_losses = losses(logits, self._is_class) @ self._weights
        return of_losses + (penalty * point.square()).sum((1, 2)) / 2

    def _state(
        self,
        number: torch.Tensor,
        penalty: torch.Tensor,
        point: torch.Tensor,
        logits: torch.Tensor,
        value: torch.Tensor,
    ) -> _State:
        """Return the state at a point whose logits and value are known, without steps."""
        residual = residuals(logits, self._is_class)
        moment = products(self._z.T, residual * self._weights[:, None])
        # One minus the probability of a sample's class, and those of the others.
        apart = residual.abs()
        variance = (apart * (1 - apart)).sum(2) @ self._weights
        rho = variance / self._weights.sum() / (residual.shape[2] - 1)
        # All probabilities may round to 0 and 1.
        rho = rho.clamp(min=torch.finfo(rho.dtype).eps)
        gradient = moment + penalty * point
        return _State(number, penalty, point, logits, value, gradient, rho, steps=[])

    def _has_converged(self, state: _State) -> torch.Tensor:
        """Tell for which penalties the objective is proven to be close enough to its minimum.

        A penalty p makes the objective p-strongly convex in the weights, so the square of their
        distance from the optimum is at most twice the gap over p.
        """
        weights, penalty = state.point[:, :-1], self._penalty[state.number]
        of_weights = penalty * weights.square().sum((1, 2)) / 2
        wanted = torch.maximum(TOLERANCE**2 * of_weights, ROUNDING * state.value)
        # By strong convexity no more than this, were the intercepts the best for these weights.
        slope = state.gradient[:, :-1].square().sum((1, 2)) / (2 * penalty)
        near = slope <= wanted
        if near.any():
            bound = lower_bound(
                *(self._z[:, :-1], state.logits[near], penalty[near]),
                *(self._is_class, self._weights),
            )
            near[near.clone()] = state.value[near] - bound <= wanted[near]
        return near


def _remembered(
    step: torch.Tensor, change: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return step, change, _reciprocal(_dot(step, change))


def _dot(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (one * other).sum((1, 2), keepdim=True)


def _reciprocal(curvature: torch.Tensor) -> torch.Tensor:
    """Return 1 / curvature; 0, which skips a pair, where rounding has left no curvature."""
    return torch.where(curvature > 0, 1 / curvature, 0.0)
