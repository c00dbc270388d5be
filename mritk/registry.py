"""The registry: what all loaded plugins provide, looked up by name and explained when absent.

A registry is an ordinary object with its own pluggy manager; nothing is global.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pluggy

from mritk import hookspecs
from mritk.backbone import FILE_PREFIX, SCRATCH, Backbone, split_name, weights_from_file
from mritk.errors import DuplicateName, Unavailable, UnknownName
from mritk.evaluate.metric import Metric
from mritk.options import read_options, split_options
from mritk.plugins import Candidate, Selection
from mritk.records import (
    Alias,
    Architecture,
    Augmentation,
    BackboneFamily,
    Dataset,
    DatasetFamily,
    Family,
    Method,
    Origin,
    ProtocolFile,
    Record,
    Weights,
)
from mritk.workspace import Workspace

# What each hook may yield, by the plural noun that names it on the command line.
NOUNS: Mapping[str, tuple[type[Record], ...]] = {
    "backbones": (Architecture, Weights, Alias, BackboneFamily),
    "datasets": (Dataset, DatasetFamily),
    "augmentations": (Augmentation,),
    "methods": (Method,),
    "protocols": (ProtocolFile,),
    "metrics": (Metric,),
}

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin that was loaded, or that failed with ``error``."""

    origin: Origin
    hooks: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()
    error: str = ""


@dataclass
class Registry:
    """Everything the loaded plugins provide.

    Build one with :meth:`load`; tests add plugins with :meth:`register`.

    Attributes:
        strict: Whether a plugin that fails is an error.
        plugins: The plugins, also those that failed.
        workspace: What families see of this machine when they are asked for a member.
    """

    strict: bool = False
    plugins: list[LoadedPlugin] = field(default_factory=list)
    workspace: Workspace = field(default_factory=Workspace.from_environment)
    _manager: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager("mritk"))

    def __post_init__(self) -> None:
        self._manager.add_hookspecs(hookspecs)

    @classmethod
    def load(cls, options: Sequence[str] = (), environ: Mapping[str, str] = os.environ) -> Registry:
        """Load installed plugins, those of the environment and those of ``-p`` options.

        Raises:
            Unavailable: A plugin that was asked for by name failed, or any did in strict mode.
        """
        selection = Selection.from_options(options, environ)
        registry = cls(strict=selection.strict, workspace=Workspace.from_environment(environ))
        for candidate in selection.candidates():
            registry._load_one(candidate)
        return registry

    def _load_one(self, candidate: Candidate) -> None:
        try:
            self.register(candidate.plugin(), candidate.origin)
        except (Exception, SystemExit) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            loaded = LoadedPlugin(candidate.origin, error=reason)
            self.plugins.append(loaded)
            if candidate.requested or self.strict:
                raise Unavailable(explain_failure(loaded)) from error

    def register(self, plugin: object, origin: Origin) -> LoadedPlugin:
        """Add one plugin with all its records, or, if anything about it is wrong, nothing.

        Raises:
            ValueError: Another plugin has its name.
            pluggy.PluginValidationError: It implements an unknown hook or an unknown argument.
            TypeError: A hook yields something that is not one of its records.
            Exception: Whatever the plugin itself raises.
        """
        if self._manager.has_plugin(origin.plugin):
            raise ValueError(f"another plugin is called {origin.plugin!r} already")
        try:
            self._manager.register(plugin, origin.plugin)
            self._manager.check_pending()
            hooks = tuple(caller.name for caller in self._manager.get_hookcallers(plugin) or ())
            if not hooks:
                raise TypeError("it implements no hook of mritk (is @hookimpl missing?)")
            records = tuple(self._records_of(plugin, origin))
        except BaseException:
            if self._manager.is_registered(plugin):
                self._manager.unregister(plugin)
            raise
        loaded = LoadedPlugin(origin, hooks, records)
        self.plugins.append(loaded)
        return loaded

    def _records_of(self, plugin: object, origin: Origin) -> Iterable[Record]:
        for noun, kinds in NOUNS.items():
            for implementation in getattr(self._manager.hook, f"mritk_{noun}").get_hookimpls():
                if implementation.plugin is not plugin:
                    continue
                for record in implementation.function() or ():
                    if not isinstance(record, kinds):
                        expected = " or ".join(kind.__name__ for kind in kinds)
                        raise TypeError(f"mritk_{noun} yields {expected}, not {record!r}")
                    yield replace(record, origin=origin)

    @property
    def failures(self) -> tuple[LoadedPlugin, ...]:
        """The plugins that could not be loaded."""
        return tuple(plugin for plugin in self.plugins if plugin.error)

    @property
    def hook(self) -> Any:
        """pluggy's relay, for hooks that are neither nouns nor moments (``mritk_commands``)."""
        return self._manager.hook

    def implementations(self, hook: str) -> Sequence[pluggy.HookImpl]:
        """Return the implementations of one hook in the order in which they are called."""
        return tuple(reversed(getattr(self._manager.hook, hook).get_hookimpls()))

    # -- listing -------------------------------------------------------------------------------

    def records(self, kind: type[R]) -> list[R]:
        """Return all records of a kind, sorted by name."""
        found = [r for plugin in self.plugins for r in plugin.records if isinstance(r, kind)]
        return sorted(found, key=_name_of)

    def backbone_names(self) -> list[str]:
        """Return every ``ARCH@WEIGHTS`` that has a fixed name, and the aliases."""
        architectures = {architecture.name for architecture in self.records(Architecture)}
        names = {f"{name}@{SCRATCH}" for name in architectures}
        names |= {
            f"{weights.architecture}@{weights.name}"
            for weights in self.records(Weights)
            if weights.architecture in architectures
        }
        return sorted(names | {alias.name for alias in self.records(Alias)})

    def _plain_names(self) -> list[str]:
        aliases = [alias.name for alias in self.records(Alias)]
        return [architecture.name for architecture in self.records(Architecture)] + aliases

    # -- looking up ----------------------------------------------------------------------------

    def dataset(self, name: str) -> Dataset:
        """Return a dataset by name or ``PREFIX:MEMBER``."""
        if (found := self._only(Dataset, name)) is not None:
            return found
        members = self._members(DatasetFamily, "dataset", name)
        found = next((record for record in members if isinstance(record, Dataset)), None)
        if found is None:
            self._unknown("dataset", name, [dataset.name for dataset in self.records(Dataset)])
        return found

    def augmentation(self, name: str) -> Augmentation:
        """Return an augmentation by name."""
        return self._get(Augmentation, "augmentation", name)

    def method(self, name: str) -> Method:
        """Return a method by name."""
        return self._get(Method, "method", name)

    def protocol(self, name: str) -> ProtocolFile:
        """Return a protocol by name."""
        return self._get(ProtocolFile, "protocol", name)

    def metrics(self) -> list[Metric]:
        """Return the metrics of plugins.

        Raises:
            DuplicateName: Two plugins, or a plugin and mritk, have one of the same name.
        """
        from mritk.evaluate.metrics import all_metrics

        found, own = self.records(Metric), all_metrics()
        for metric in found:
            if metric.name in own:
                raise DuplicateName(
                    f"metric {metric.name!r} of {metric.origin} is mritk's own name for one; the "
                    f"plugin must give it another, and '-p no:{metric.origin.plugin}' leaves it out"
                )
            _single([m for m in found if m.name == metric.name], f"metric {metric.name!r}")
        return found

    def backbone(self, name: str) -> Backbone:
        """Return the backbone ``ARCH``, ``ARCH@WEIGHTS``, ``PREFIX:NAME@WEIGHTS`` or an alias.

        Raises:
            UnknownName: Nobody provides the architecture, or the weights for it.
            DuplicateName: Two plugins do.
        """
        alias = self._only(Alias, name)
        architecture_name, weights_name = split_name(alias.target if alias else name)
        architecture = self._only(Architecture, architecture_name)
        offered = [w for w in self.records(Weights) if w.architecture == architecture_name]
        if architecture is None:
            members = self._members(BackboneFamily, "backbone", architecture_name)
            architecture = next((r for r in members if isinstance(r, Architecture)), None)
            if architecture is None:
                plain = weights_name is None
                self._unknown(
                    "backbone", name, self._plain_names() if plain else self.backbone_names()
                )
            offered += [r for r in members if isinstance(r, Weights)]
        return Backbone(
            architecture,
            self._weights(architecture, weights_name or architecture.default_weights, offered),
        )

    def _weights(
        self, architecture: Architecture, name: str, offered: Sequence[Weights]
    ) -> Weights | None:
        if name == SCRATCH:
            return None
        if name.startswith(FILE_PREFIX):
            return weights_from_file(architecture, Path(name.removeprefix(FILE_PREFIX)))
        found = [weights for weights in offered if weights.name == name]
        if not found:
            names = [f"{architecture.name}@{w.name}" for w in offered]
            names.append(f"{architecture.name}@{SCRATCH}")
            self._unknown("backbone", f"{architecture.name}@{name}", names, show_all=True)
        return _single(found, f"weights {architecture.name}@{name}")

    def _get(self, kind: type[R], noun: str, name: str) -> R:
        found = self._only(kind, name)
        if found is None:
            self._unknown(noun, name, [_name_of(record) for record in self.records(kind)])
        return found

    def _only(self, kind: type[R], name: str) -> R | None:
        found = [record for record in self.records(kind) if _name_of(record) == name]
        return _single(found, f"{kind.__name__.lower()} {name!r}") if found else None

    def _members(self, kind: type[Family], noun: str, name: str) -> list[Record]:
        prefix, colon, member = name.partition(":")
        found = [family for family in self.records(kind) if colon and family.prefix == prefix]
        if not found:
            return []
        family = _single(found, f"prefix {prefix!r}")
        arguments: list[Any] = [member]
        if family.options is not None:
            member, given = split_options(member)
            arguments = [member, read_options(given, family.options, f"{prefix}:")]
        if family.needs_workspace:
            arguments.append(self.workspace)
        try:
            return [replace(r, origin=family.origin) for r in family.resolve(*arguments)]
        except LookupError:
            self._unknown(noun, name, [f"{prefix}:{known}" for known in family.members()])

    def _unknown(
        self, noun: str, name: str, names: Sequence[str], *, show_all: bool = False
    ) -> NoReturn:
        near = list(names) if show_all else difflib.get_close_matches(name, names, 3, 0.5)
        text = f"unknown {noun} {name!r}"
        if near:
            text += f"; {'there is' if show_all else 'did you mean'} {' or '.join(near)}"
            text += "" if show_all else "?"
        text += f" ('mritk list {noun}s' lists all)"
        if self.failures:
            failed = ", ".join(str(plugin.origin) for plugin in self.failures)
            text += f"; these plugins failed to load and may provide it: {failed}"
        raise UnknownName(text)


def explain_failure(plugin: LoadedPlugin) -> str:
    """Return one line that says which plugin failed, why, and how to go on without it."""
    name, distribution = plugin.origin.plugin, plugin.origin.distribution
    remedy = f"'-p no:{name}' runs without it"
    if distribution and not distribution.endswith(".py"):
        remedy += f", 'python -m pip uninstall {distribution}' removes it"
    return f"plugin {plugin.origin} failed to load: {plugin.error}; {remedy}"


def _name_of(record: Record) -> str:
    if isinstance(record, Weights):
        return f"{record.architecture}@{record.name}"
    if isinstance(record, Family):
        return record.prefix
    return str(getattr(record, "name"))  # noqa: B009 - every other record has one


def _single(found: Sequence[R], what: str) -> R:
    if len(found) > 1:
        providers = " and ".join(str(record.origin) for record in found)
        first = found[0].origin.plugin
        raise DuplicateName(
            f"{what} is provided by {providers}; switch one off, for instance with '-p no:{first}'"
        )
    return found[0]
