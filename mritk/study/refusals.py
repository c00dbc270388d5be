"""What of a benchmark cannot be trained together, said before anything is trained."""

from __future__ import annotations

from mritk.backbone import Backbone
from mritk.data.samples import Samples
from mritk.errors import DataError, UsageError
from mritk.evaluate.metrics import find_metric
from mritk.plugins.registry import Registry
from mritk.protocol.protocol import Protocol
from mritk.records import Augmentation, Dataset
from mritk.study.benchmark import Benchmark
from mritk.study.path_hint import slices_hint
from mritk.trial import OpenDataset

KINDS = {2: "images", 3: "volumes", None: "data without a grid"}


def require_folds(
    benchmark: Benchmark, count: int, protocol: Protocol, record: Dataset | None = None
) -> None:
    on = f" on {record.name}" if record else ""
    for fold in benchmark.folds:
        if not 0 <= fold < count:
            raise UsageError(
                f"no fold {fold}: protocol {protocol.name} has {count}{on}, numbered from 0"
            )


def require_fit(
    record: Dataset,
    samples: Samples,
    backbone: Backbone | None,
    augmentation: Augmentation,
    registry: Registry,
) -> None:
    """Refuse a combination that could only fail later.

    Raises:
        UsageError: The backbone or the augmentation takes data of another kind.
    """
    dims = samples.spatial_dims
    held = f"{record.name} contains {KINDS[dims]}"
    if backbone is not None and backbone.architecture.spatial_dims != dims:
        takes = KINDS[backbone.architecture.spatial_dims]
        slices = slices_hint(record.name, registry) if dims == 3 else ""
        raise UsageError(f"{backbone.name} takes {takes}, but {held}{slices and f'; {slices}'}")
    if augmentation.apply is not None and dims not in augmentation.spatial_dims:
        raise UsageError(
            f"augmentation {augmentation.name} does not transform {KINDS[dims]}, but {held}; "
            f"use --augmentation none"
        )


def require_selection(dataset: OpenDataset, protocol: Protocol, fold: int) -> None:
    """Refuse a validation part on which no state can be chosen as the protocol wants.

    Raises:
        DataError: The metric has no value there, whatever is predicted.
    """
    rule, samples = protocol.selection, dataset.samples
    if rule.on != "val" or rule.by == "loss":
        return
    metric = find_metric(rule.by, samples.task)
    reason = metric.ideal(samples.targets[dataset.folds[fold].val], samples.task.outputs).reason
    if reason:
        raise DataError(
            f"protocol {protocol.name} selects the checkpoint by {rule.by}, which is undefined on "
            f"the validation set of {dataset.record.name}, fold {fold}, for any predictions: "
            f'{reason}; use by = "loss" in [selection], or another split'
        )
