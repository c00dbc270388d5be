"""The protocol: the recipe that all backbones share, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from typing import Any, Literal

from mritk.backbone import Normalisation, Resize
from mritk.evaluate.metrics import all_metrics, of_any_region
from mritk.images.preprocessing import UNCHANGED, Preprocessing
from mritk.method import Method, Precision, SelectionRule
from mritk.protocol.tomltext import TomlText, near_miss
from mritk.protocol.variation import Changes, changed, varied_name
from mritk.splits.splits import SplitRule

NATIVE = "native"
# The largest are beyond any scan, and within what libraries can count: a slip of the pen ends here.
OPTIONAL_SIZES = {"image_size": 16_384, "volume_size": 2_048}


@dataclass(frozen=True)
class Protocol:
    """Everything that shapes training and evaluation, and is the same for all backbones.

    Attributes:
        name: Name in tables.
        method: Name of the method.
        parameters: The method's parameters, an instance of its dataclass.
        split: How samples are divided.
        selection: Which state of a training is kept.
        image_size: Side of images in pixels; None (``native``): what each backbone declares.
        volume_size: Side of volumes in voxels, likewise.
        precision: ``auto``, ``float32``, ``bfloat16`` or ``bfloat16_norms``; the trial file keeps
            what it came to.
        deterministic: Ask for deterministic algorithms on CUDA too.
        normalisation: ``own``: pixels as each set of weights declares them; ``imagenet``: the mean
            and std of ImageNet for all, to repeat published work that did so.
        normalise_again: Architectures whose pixels are then normalised a second time, as each set
            of weights declares them, as if the result were pixels of 0 to 255: what becomes of
            normalised pixels in a network of Keras that holds the normalisation as a layer.
        resize: ``own``: with the interpolation that each set of weights declares; or ``nearest``,
            ``bilinear``, ``bicubic`` for all. Images alone.
        preprocessing: What is done to every image of every part, after resizing.
        rehearsal: Made small by :mod:`mritk.study.rehearsal`; no file can say so.
        augmentation: Used where a run names none. It is an axis of the trial, not of the
            fingerprint.
        summary: One line for ``mritk list``.
    """

    name: str = field(metadata={"fingerprint": False})
    method: str
    parameters: Any
    split: SplitRule = field(default_factory=SplitRule)
    selection: SelectionRule = field(default_factory=SelectionRule)
    image_size: int | None = 224
    volume_size: int | None = None
    precision: Precision = "auto"
    deterministic: bool = False
    normalisation: Normalisation = field(default="own", metadata={"fingerprint": "unless default"})
    normalise_again: tuple[str, ...] = field(default=(), metadata={"fingerprint": "unless default"})
    resize: Resize = field(default="own", metadata={"fingerprint": "unless default"})
    preprocessing: Preprocessing = field(
        default=UNCHANGED, metadata={"fingerprint": "unless default"}
    )
    rehearsal: bool = field(default=False, metadata={"fingerprint": "unless default"})
    augmentation: str = field(default="none", metadata={"fingerprint": False})
    summary: str = field(default="", metadata={"fingerprint": False})

    def canonical(self) -> dict[str, Any]:
        """Return, as plain data, every field that shapes training and evaluation."""
        shaping: dict[str, Any] = _shaping(self)
        return shaping

    def canonical_json(self) -> str:
        """Return :meth:`canonical` as JSON with sorted keys."""
        return json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of :meth:`canonical_json`, in hexadecimal."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()


@dataclass(frozen=True)
class _ProtocolTable:
    """The keys of a protocol file, except ``parameters``, whose keys belong to the method."""

    method: str
    split: SplitRule = field(default_factory=SplitRule)
    selection: SelectionRule = field(default_factory=SelectionRule)
    image_size: int | Literal["native"] = 224
    volume_size: int | Literal["native"] = "native"
    precision: Precision = "auto"
    deterministic: bool = False
    normalisation: Normalisation = "own"
    normalise_again: tuple[str, ...] = ()
    resize: Resize = "own"
    preprocessing: Preprocessing = UNCHANGED
    augmentation: str = "none"
    summary: str = ""


def read_protocol(
    name: str,
    source: TomlText,
    find_method: Callable[[str], Method],
    changes: Changes | None = None,
) -> Protocol:
    """Return the protocol that a TOML text describes.

    Args:
        name: Name of the protocol.
        source: The text.
        find_method: Returns a method by name.
        changes: Values in place of those in the text, by dotted key.

    Raises:
        ProtocolError: It has an unknown key or a value of the wrong type.
    """
    source = replace(source, varied=changes or {})
    data = changed(source.parse(), source.varied)
    parameters = data.pop("parameters", {})
    known = [*(f.name for f in fields(_ProtocolTable)), "parameters"]
    for key in data:
        if key not in known:
            raise source.error((key,), f"unknown key {key!r}{near_miss(key, known)}")
    if not isinstance(parameters, dict):
        raise source.error(("parameters",), "must be a table")
    table = source.into(_ProtocolTable, data)
    method = find_method(table.method)
    _require_selectable(table.selection.by, source)
    values = {f.name: getattr(table, f.name) for f in fields(table)}
    for size, largest in OPTIONAL_SIZES.items():
        if values[size] == NATIVE:
            values[size] = None
        elif values[size] < 1:
            raise source.error((size,), "must be at least 1, or 'native'")
        elif values[size] > largest:
            raise source.error((size,), f"must be at most {largest}")
    values["parameters"] = source.into(method.schema, parameters, ("parameters",))
    return Protocol(varied_name(name, changes or {}), **values)


def _require_selectable(by: str, source: TomlText) -> None:
    metrics = all_metrics()
    name = of_any_region(by)  # only data tell their regions; a plan refuses others
    if name not in (allowed := ["loss", *metrics]):
        raise source.error(
            ("selection", "by"),
            f"unknown metric {by!r}{near_miss(by, allowed)} (metrics of plugins cannot select)",
        )
    if by != "loss" and metrics[name].higher_is_better is None:
        raise source.error(
            ("selection", "by"),
            f"{by} has no direction, so no checkpoint can be selected by it; use 'loss' or a "
            "metric with an arrow ('mritk list metrics')",
        )


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    """Yield ``key: value | other value`` for each field in which two canonical protocols differ."""
    left, right = dict(flat(one)), dict(flat(other))
    for key in sorted(left.keys() | right.keys()):
        one_value, other_value = left.get(key, "absent"), right.get(key, "absent")
        if one_value != other_value:
            yield f"{key}: {one_value} | {other_value}"


def _shaping(value: Any) -> Any:
    """Return plain data without the fields that shape nothing, as marked or at their default.

    Equal numbers look equal: 1.0 is written as 1.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: _shaping(getattr(value, f.name)) for f in fields(value) if _shapes(value, f)
        }
    if isinstance(value, Mapping):
        return {key: _shaping(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shaping(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _shapes(record: Any, member: Field[Any]) -> bool:
    """Tell whether a field belongs in the fingerprint."""
    rule = member.metadata.get("fingerprint", True)
    if rule == "unless default":
        left_out = member.metadata.get("absent", member.default)
        return bool(getattr(record, member.name) != left_out)
    return bool(rule)


def flat(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted key and value of each leaf of plain data: ``parameters.stages[0].epochs``."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{at}.{key}" if at else str(key))
    elif isinstance(value, (list, tuple)) and value:
        for position, inner in enumerate(value):
            yield from flat(inner, f"{at}[{position}]")
    else:
        yield at, value


def describe_method(method: Method) -> list[tuple[str, Any]]:
    """Return the parameters of a method with their defaults, for ``mritk show``."""

    def default(parameter: Field[Any]) -> Any:
        if callable(parameter.default_factory):
            return parameter.default_factory()
        return "(required)" if parameter.default is MISSING else parameter.default

    return [(parameter.name, default(parameter)) for parameter in fields(method.schema)]
