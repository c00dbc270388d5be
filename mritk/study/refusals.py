"""What of a benchmark cannot be trained together, said before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from shlex import quote

from mritk.backbone import Backbone
from mritk.data.rank import is_volume, of_rank
from mritk.data.samples import Samples
from mritk.errors import DataError, MritkError, UsageError
from mritk.evaluate.metrics import find_metric, metrics_of
from mritk.images.grid import one_side, size_text
from mritk.method import Method
from mritk.plugins.registry import Registry
from mritk.protocol.protocol import Protocol
from mritk.records import Augmentation, Dataset, ProtocolFile
from mritk.study.benchmark import Benchmark, find_protocol
from mritk.study.path_hint import volumes_hint
from mritk.trial import OpenDataset

# As many names as a person reads in a message.
NAMED = 3
# Scanners round the size of their voxels.
SAME_SPACING = 0.01
# Splits that not all data have.
GIVEN = ("official", "site")
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


def require_storable(kind: str, names: Iterable[str]) -> None:
    """Refuse names that a trial file cannot hold, such as that of a folder that is not UTF-8.

    Raises:
        UsageError: One is no valid text.
    """
    for name in names:
        if "\0" in name or name != name.encode("utf-8", "ignore").decode():
            raise UsageError(
                f"the name of {kind} {name!r} is not valid text, so its trials could not be "
                "stored; rename its file or folder"
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
        UsageError: The backbone or the augmentation takes data of another kind, or other channels,
            or the backbone a spacing that the data do not state, or one spacing where the data have
            several.
    """
    dims = samples.spatial_dims
    held = f"{record.name} contains {KINDS[dims]}"
    if backbone is not None and backbone.architecture.spatial_dims != dims:
        takes = KINDS[backbone.architecture.spatial_dims]
        hint = volumes_hint(record.name, backbone, registry) if is_volume(dims) else ""
        raise UsageError(f"{backbone.name} takes {takes}, but {held}{hint and f'; {hint}'}")
    if backbone is not None:
        _require_inputs(record, samples, backbone)
    if augmentation.apply is not None and dims not in augmentation.spatial_dims:
        raise UsageError(
            f"augmentation {augmentation.name} does not transform {KINDS[dims]}, but {held}; "
            f"use --augmentation none"
        )
    if len(samples.channels) > 1 and not augmentation.named_channels:
        raise UsageError(
            f"augmentation {augmentation.name} takes grey or colour images, but {record.name} has "
            f"{len(samples.channels)} channels ({', '.join(samples.channels)}), which are no "
            "colours; use --augmentation none, or another one"
        )


def require_size(samples: Samples, backbone: Backbone, protocol: Protocol) -> None:
    """Refuse a size that a network does not take: another than its only one, or too small.

    Raises:
        UsageError: The protocol has such a size.
    """
    dims, contract = samples.spatial_dims, backbone.input
    key = of_rank(dims, "image_size", "volume_size")
    size: int | None = getattr(protocol, key)
    if size is None or contract.takes(size) is not False:
        return
    takes = f"{backbone.name} takes {KINDS[dims]} of"
    stated = f"but protocol {protocol.name} has {key} = {size}"
    if not contract.fixed:
        least = contract.minimum
        raise UsageError(f"{takes} {_or_more(least, dims)}, {stated}; {_larger(key, least)}")
    remedy = "another backbone"
    if side := one_side(contract.size):
        remedy = f"--vary {key}={side}, or another backbone"
    raise UsageError(f"{takes} size {size_text(contract.size)} only, {stated}; use {remedy}")


def require_large_enough(
    samples: Samples, shapes: Sequence[Sequence[int]], backbone: Backbone, protocol: Protocol
) -> None:
    """Refuse samples that a network takes as they are, and that are smaller than it takes.

    What is made around another network states its smallest side for the axis of its slices. Shapes
    are those of the samples as they are read; the backbone has the input contract that the protocol
    asks for.

    Raises:
        UsageError: One is smaller.
    """
    dims, least = samples.spatial_dims or 0, backbone.input.minimum
    key = of_rank(dims, "image_size", "volume_size")
    size = getattr(protocol, key) or backbone.input.size
    if size is not None or least is None or backbone.inner is not None:
        return
    first = 1 if samples.channels else 0
    for name, shape in zip(samples.ids, shapes, strict=True):
        sides = shape[first : first + dims]
        if sides and min(sides) < least:
            raise UsageError(
                f"{backbone.name} takes {KINDS[dims]} of {_or_more(least, dims)}, "
                f"but {name} has {' × '.join(map(str, sides))}; {_larger(key, least)}"
            )


def _or_more(least: int | None, dims: int | None) -> str:
    unit = of_rank(dims, "pixels", "voxels")
    return f"{least} {unit} or more along each axis"


def _larger(key: str, least: int | None) -> str:
    return f"use --vary {key}={least} or more, or another backbone"


def require_learnable(
    record: Dataset, samples: Samples, protocol: Protocol, method: Method, registry: Registry
) -> None:
    """Refuse data whose targets the method of a protocol cannot learn.

    Raises:
        UsageError: The method is for other kinds of tasks.
    """
    kind = samples.task.kind
    if method.learns(kind):
        return
    able = [m.name for m in registry.records(Method) if kind in m.tasks]
    named = [f"--protocol {quote(p)}" for p in protocols_of(able, registry)]
    remedy = (
        f"use the --protocol of a method for {kind}; 'mritk plugins new NAME --kind method' begins "
        "one, and -p FILE.py loads it"
    )
    if named:
        more = f" ({len(named)} in all: 'mritk list protocols')" if len(named) > NAMED else ""
        remedy = f"use {' or '.join(named[:NAMED])}{more}"
    raise UsageError(
        f"{record.name} has {samples.task.describe()}, but protocol {protocol.name} trains with "
        f"{method.name}, which is for {' and '.join(method.tasks)}; {remedy}"
    )


def require_unlabelled_use(protocol: Protocol, method: Method) -> None:
    """Refuse unlabelled samples for a method that would not look at them.

    Raises:
        UsageError: It would not, so rows would be marked for nothing.
    """
    if protocol.split.unlabelled != "none" and not method.uses_unlabelled:
        raise UsageError(
            f"protocol {protocol.name} gives unlabelled samples to {method.name}, which does not "
            'learn from any; set unlabelled = "none" in [split]'
        )


def protocols_of(methods: Sequence[str], registry: Registry) -> list[str]:
    """Return the names of the protocols of some methods.

    Those that can divide any data come first, of these those of the method's own plugin, and the
    first one of each method before variants.
    """
    plugins = {method.name: method.origin for method in registry.records(Method)}
    found: list[tuple[bool, Protocol]] = []
    for record in registry.records(ProtocolFile) if methods else ():
        with suppress(MritkError):  # another plugin's fault is not what is to be said
            protocol = find_protocol(record.name, registry)
            if protocol.method in methods:
                found.append((record.origin != plugins[protocol.method], protocol))
    found.sort(key=lambda one: (one[1].split.scheme in GIVEN, one[0]))
    known = [protocol.method for _, protocol in found]

    def place(at: int) -> tuple[bool, int]:
        return found[at][1].split.scheme in GIVEN, known[:at].count(known[at])

    return [found[at][1].name for at in sorted(range(len(found)), key=place)]


def _require_inputs(record: Dataset, samples: Samples, backbone: Backbone) -> None:
    contract, named = backbone.input, samples.channels
    if len(named) > 1 and len(named) != contract.channels:
        raise UsageError(
            f"{record.name} has {len(named)} channels ({', '.join(named)}), but {backbone.name} "
            f"takes {contract.channels}; use a backbone with {len(named)} input channels"
        )
    if contract.spacing is not None and samples.spacing is None:
        raise UsageError(
            f"{backbone.name} takes {KINDS[samples.spatial_dims]} at {contract.spacing} mm, but "
            f"{record.name} does not state its spacing; use another backbone, or data that state it"
        )
    kept = contract.fit == "crop_or_pad" and contract.spacing is None
    if kept and (mixed := mixed_spacing(samples)):
        raise UsageError(
            f"{backbone.name} keeps the spacing of {KINDS[samples.spatial_dims]}, but in "
            f"{record.name} it differs: {mixed}; resample the files to one spacing, or use a "
            "backbone that resizes or resamples"
        )


def mixed_spacing(samples: Samples) -> str:
    """Return two spacings that differ by more than 1 %, as text; empty if none do."""
    if samples.spacing is None or not len(samples):
        return ""
    first = samples.spacing[0]
    differ = (abs(samples.spacing - first) > SAME_SPACING * first).any(axis=1)
    if not differ.any():
        return ""
    row = int(differ.argmax())
    told = [" × ".join(f"{mm:g}" for mm in samples.spacing[i]) for i in (0, row)]
    return f"{told[0]} mm of {samples.ids[0]} and {told[1]} mm of {samples.ids[row]}"


def require_selectable(protocol: Protocol, record: Dataset, samples: Samples) -> None:
    """Refuse a protocol that selects by a metric of another task.

    Raises:
        UsageError: The metric is not one of the task of the dataset.
    """
    by, task = protocol.selection.by, samples.task
    known = {metric.name: metric for metric in metrics_of(task, shown=False)}
    if by == "loss" or by in known:
        return
    able = [name for name, metric in known.items() if metric.higher_is_better is not None]
    raise UsageError(
        f"protocol {protocol.name} selects the checkpoint by {by}, which is no metric of "
        f"{record.name} ({task.kind}); set by in [selection] to one of loss, {', '.join(able)}"
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
