"""Check all that a plugin provides, or one thing by its name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from operator import itemgetter
from typing import Any, TypeVar

from mritk.backbone import Backbone
from mritk.errors import DuplicateName, Unavailable, UnknownName, UsageError, one_line
from mritk.evaluate.metric import Metric
from mritk.files.workspace import Workspace
from mritk.method import Method
from mritk.plugins.loaded import LoadedPlugin
from mritk.plugins.loading import name_of
from mritk.plugins.options import split_options
from mritk.plugins.registry import Registry
from mritk.records import (
    Alias,
    Architecture,
    Augmentation,
    BenchmarkFile,
    Dataset,
    Executor,
    Explainer,
    Family,
    ProtocolFile,
    Record,
    Weights,
)
from mritk.study.benchmark import Benchmark, find_protocol
from mritk.testing import augmentation, executor, explainer, metric
from mritk.testing.backbone import inspect_backbone
from mritk.testing.check import (
    Check,
    Defect,
    NotApplicable,
    State,
    UnderTest,
    Verdict,
    inspect,
    promises,
)
from mritk.testing.dataset import inspect_dataset
from mritk.testing.method import inspect_method

R = TypeVar("R", bound=Record)

# Records that need nothing else to be checked.
ALONE: tuple[tuple[type, Callable[[Any], UnderTest[Any]], Sequence[Check]], ...] = (
    (Augmentation, augmentation.AugmentationUnderTest, augmentation.CHECKS),
    (Metric, metric.MetricUnderTest, metric.CHECKS),
    (Executor, executor.ExecutorUnderTest, executor.CHECKS),
    (Explainer, explainer.ExplainerUnderTest, explainer.CHECKS),
)
KINDS = ("dataset", "augmentation", "method", "metric", "executor", "explainer", "backbone")
HEAVY = (
    "torch",
    "timm",
    "torchvision",
    "transformers",
    "datasets",
    "huggingface_hub",
    "monai",
    "scipy",
    "pandas",
    "matplotlib",
)
LOAD = """
import contextlib, io, os, sys
from mritk.plugins.registry import Registry
with contextlib.redirect_stdout(io.StringIO()) as printed:
    Registry.load([sys.argv[1]])
print(ascii(printed.getvalue().strip()))
print(*[name for name in sys.argv[2:] if name in sys.modules], flush=True)
os._exit(0)
"""


@dataclass(frozen=True)
class PluginUnderTest:
    """A loaded plugin in its registry."""

    plugin: LoadedPlugin
    registry: Registry

    def given(self, kind: type[R]) -> list[R]:
        """Return its records of a kind; where there are none, no check of them applies."""
        found = [record for record in self.plugin.records if isinstance(record, kind)]
        if not found:
            raise NotApplicable(f"it has no {kind.__name__.removesuffix('File').lower()}")
        return found


def loads_without_heavy_libraries(it: PluginUnderTest) -> None:
    """Every call of the program loads every plugin, so loading must cost next to nothing."""
    if not it.plugin.asked:
        raise NotApplicable("it was registered manually")
    environ = os.environ | {"MRITK_DISABLE_PLUGIN_AUTOLOAD": "1", "MRITK_PLUGINS": ""}
    ended = subprocess.run(
        [sys.executable, "-c", LOAD, it.plugin.asked, *HEAVY],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        # A process that a signal ends says nothing.
        said = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}, no message"]
        raise Defect(f"it does not load by itself: {said[-1]}")
    printed, heavy = ended.stdout.splitlines()[-2:]
    if heavy:
        found = ", ".join(heavy.split())
        raise Defect(f"loading it imports {found}; import it inside the functions that use it")
    if printed != "''":
        raise Defect(f"loading it prints {printed}, which would be in the output of every command")


def records_say_what_they_are(it: PluginUnderTest) -> None:
    """Every record has a summary, so that ``mritk list`` is of use."""
    without = [name_of(r) for r in it.plugin.records if not (r.summary or isinstance(r, Alias))]
    if without:
        raise Defect(f"{', '.join(without[:3])} without a summary; set summary='…', one line")


def names_are_its_own(it: PluginUnderTest) -> None:
    """No name is taken by another record of its kind, since neither could be used then."""
    from mritk.evaluate.metrics import all_metrics

    for record in it.plugin.records:
        name, kind = name_of(record), type(record)
        kinds = (Architecture, Alias) if kind in (Architecture, Alias) else kind
        same = [other for other in it.registry.records(Record) if name_of(other) == name]
        others = [other for other in same if other is not record and isinstance(other, kinds)]
        builtin = kind is Metric and name in all_metrics()
        if any(other.origin == record.origin for other in others):
            raise Defect(f"it provides {kind.__name__.lower()} {name!r} twice; rename one")
        if others or builtin:
            owner = "mritk" if builtin else others[0].origin
            raise Defect(f"the name {name!r} is taken by {owner}; choose another")


def aliases_lead_somewhere(it: PluginUnderTest) -> None:
    """The target of every alias exists."""
    for alias in it.given(Alias):
        try:
            it.registry.backbone(alias.target)
        except UnknownName as error:
            raise Defect(f"alias {alias.name} refers to {alias.target}: {error}") from error


def protocols_can_be_read(it: PluginUnderTest) -> None:
    """Every protocol names a method that is there, and parameters that it has."""
    for protocol in it.given(ProtocolFile):
        find_protocol(protocol.name, it.registry)


def benchmarks_can_be_read(it: PluginUnderTest) -> None:
    """Every benchmark is TOML of known keys."""
    for benchmark in it.given(BenchmarkFile):
        Benchmark.named(benchmark.name, it.registry)


CHECKS = promises(__name__)


def inspect_named(
    name: str, registry: Registry, workspace: Workspace, kind: str = ""
) -> Iterator[Verdict]:
    """Check the plugin of this name with all its records, or else the record of this name.

    Args:
        name: A plugin, or a backbone, dataset and so on.
        registry: Knows the names.
        workspace: Where files may be.
        kind: What the name is, as in ``backbone``; empty: whatever there is.

    Raises:
        Unavailable: The plugin was not loaded.
        UnknownName: There is neither.
        UsageError: The name stands for things of two kinds, or is checked with its plugin.
    """
    for plugin in () if kind else (*registry.plugins, *registry.left_out):
        if name in (plugin.origin.plugin, plugin.origin.distribution, plugin.asked):
            if plugin.state != "loaded":
                reason = plugin.error or plugin.left_out
                raise Unavailable(f"plugin {plugin.origin} {plugin.state}: {reason}")
            return _inspect_plugin(plugin, registry, workspace)
    return _inspect_record(name, registry, workspace, kind)


def _inspect_plugin(
    plugin: LoadedPlugin, registry: Registry, workspace: Workspace
) -> Iterator[Verdict]:
    under_test = PluginUnderTest(plugin, registry)
    yield from inspect(f"plugin {plugin.origin.plugin}", CHECKS, under_test)
    for record in plugin.records:
        if isinstance(record, Family):
            subject, what = f"family {record.opening}", "members are checked the same way"
            reason = f"specify one: mritk plugins check {record.opening}{record.placeholder}"
            yield Verdict(subject, what, "n/a", reason)
        else:
            yield from _inspect_one(record, registry, workspace)


def _inspect_one(record: Record, registry: Registry, workspace: Workspace) -> Iterator[Verdict]:
    if isinstance(record, Architecture):
        yield from inspect_backbone(Backbone(record), workspace)
    elif isinstance(record, Weights):
        try:
            backbone = registry.backbone(name_of(record))
        except UsageError as error:  # that a name is taken is told of the plugin
            state: State = "n/a" if isinstance(error, DuplicateName) else "failed"
            subject = f"backbone {name_of(record)}"
            yield Verdict(subject, "weights are of an architecture", state, one_line(error))
            return
        yield from inspect_backbone(backbone, workspace, weights_only=True)
    elif isinstance(record, Dataset):
        yield from inspect_dataset(record, workspace)
    elif isinstance(record, Method):
        parameters, needed = _parameters(record, registry), _without_default(record)
        if parameters is None and needed:
            reason = f"{', '.join(needed)} must be given: call mritk.testing.check_method"
            yield Verdict(f"method {record.name}", "trains and predicts", "n/a", reason)
        else:
            yield from inspect_method(record, parameters)
    else:
        for kind, under_test, checks in ALONE:
            if isinstance(record, kind):
                yield from under_test(record).inspect(checks)


def _without_default(method: Method) -> list[str]:
    """The names of the parameters that no method can be trained without."""
    return [
        one.name
        for one in fields(method.schema)
        if one.default is MISSING and one.default_factory is MISSING
    ]


def _parameters(method: Method, registry: Registry) -> object:
    """The parameters of the shortest protocol text that uses the method; None: its defaults."""
    found: list[tuple[int, object]] = []
    for record in registry.records(ProtocolFile):
        # One that cannot be read is a defect of its own plugin, which the check of that one tells.
        with suppress(Exception):
            protocol = find_protocol(record.name, registry)
            if protocol.method == method.name:
                found.append((len(record.text()), protocol.parameters))
    return min(found, key=itemgetter(0))[1] if found else None


def _inspect_record(
    name: str, registry: Registry, workspace: Workspace, kind: str
) -> Iterator[Verdict]:
    found: dict[str, Record | Backbone] = {}
    for noun in (kind,) if kind else KINDS:
        try:
            found[noun] = getattr(registry, noun)(name)
        except UnknownName:
            if kind:
                raise
        except Unavailable:
            if kind or (not found and noun == KINDS[-1]):
                raise
    if len(found) > 1:
        raise UsageError(f"{name} is a {' and a '.join(found)}; specify which with --as")
    if not found:
        texts: list[ProtocolFile | BenchmarkFile] = [
            *registry.records(ProtocolFile),
            *registry.records(BenchmarkFile),
        ]
        for text in texts:
            if text.name == name:
                what = type(text).__name__.removesuffix("File").lower()
                raise UsageError(
                    f"{name} is a {what}, which is checked with its plugin: 'mritk plugins check "
                    f"{text.origin.plugin}'"
                )
        loaded = ", ".join(p.origin.plugin for p in registry.plugins if p.state == "loaded")
        raise UnknownName(
            f"no plugin, and nothing that one provides, is named {name!r}; plugins: {loaded}; "
            "'mritk list backbones' etc. list what they provide"
        )
    (record,) = found.values()
    if isinstance(record, Backbone):
        return inspect_backbone(record, workspace)
    if isinstance(record, Dataset):
        member, options = split_options(name)
        plain = registry.dataset(member) if options else None
        return inspect_dataset(record, workspace, plain)
    return _inspect_one(record, registry, workspace)
