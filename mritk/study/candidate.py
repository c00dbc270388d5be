"""What a trial compares with others, and the benchmark of that trial alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from mritk.backbone import Backbone
from mritk.records import Augmentation
from mritk.study.benchmark import Benchmark
from mritk.trial import Trial


@dataclass(frozen=True, eq=False)
class Candidate:
    """What a trial compares with others.

    Attributes:
        backbone: None for a method that brings its own model.
        augmentation: The augmentation.
        asked: The backbone as the benchmark names it; empty: all that a rehearsal names, or none.
    """

    backbone: Backbone | None
    augmentation: Augmentation
    asked: str = ""

    def within(self, benchmark: Benchmark) -> Benchmark:
        """Return the benchmark with this candidate alone."""
        all_or_none = benchmark.backbones if benchmark.rehearse else ()
        backbones = (self.asked,) if self.asked else all_or_none
        return replace(benchmark, backbones=backbones, augmentations=(self.augmentation.name,))


class Alone(Mapping[str, Benchmark]):
    """By trial id: a benchmark of that trial alone, made when it is asked for.

    Trials that are done need none, and there may be 100,000 of them.
    """

    def __init__(
        self, trials: Mapping[str, Trial], parts: Mapping[str, tuple[Benchmark, Candidate]]
    ) -> None:
        self._trials, self._parts = trials, parts

    def __getitem__(self, trial_id: str) -> Benchmark:
        trial, (benchmark, candidate) = self._trials[trial_id], self._parts[trial_id]
        return candidate.within(replace(benchmark, seeds=(trial.seed,), folds=(trial.fold,)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._trials)

    def __len__(self) -> int:
        return len(self._trials)
