"""The registry: what all loaded plugins provide, looked up by name and explained when absent.

A registry is an ordinary object with its own pluggy manager; nothing is global.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, TypeVar

import pluggy

from mritk.backbone import FILE_PREFIX, SCRATCH, Backbone, split_name, weights_from_file
from mritk.errors import DuplicateName, HookError, MritkError, Unavailable, UnknownName
from mritk.evaluate.metric import Metric
from mritk.files.workspace import Workspace
from mritk.method import Method
from mritk.plugins import hookspecs
from mritk.plugins.discovery import Candidate, Selection
from mritk.plugins.interface import require_interface
from mritk.plugins.loaded import LoadedPlugin, explain_failure, reason_of
from mritk.plugins.options import TELLING, options_text, read_options, split_options
from mritk.plugins.trace import Trace
from mritk.records import (
    Alias,
    Architecture,
    Augmentation,
    BackboneFamily,
    Dataset,
    DatasetFamily,
    Executor,
    Explainer,
    Family,
    Origin,
    ProtocolFile,
    Record,
    Weights,
)

# What each hook may yield, by the plural noun that names it on the command line.
NOUNS: Mapping[str, tuple[type[Record], ...]] = {
    "backbones": (Architecture, Weights, Alias, BackboneFamily),
    "datasets": (Dataset, DatasetFamily),
    "augmentations": (Augmentation,),
    "methods": (Method,),
    "protocols": (ProtocolFile,),
    "metrics": (Metric,),
    "executors": (Executor,),
    "explainers": (Explainer,),
}

R = TypeVar("R", bound=Record)


@dataclass
class Registry:
    """Everything the loaded plugins provide.

    Build one with :meth:`load`; tests add plugins with :meth:`register`.

    Attributes:
        strict: Whether a plugin that fails to load is an error.
        specifications: Where the hooks are declared.
        trace: Told of every call of a hook.
        workspace: What families see of this machine when they are asked for a member.
        plugins: Those that were loaded, and those that failed.
        left_out: Installed plugins that were not to be loaded.
    """

    strict: bool = False
    specifications: tuple[ModuleType | type, ...] = (hookspecs,)
    trace: Trace = field(default_factory=Trace)
    plugins: list[LoadedPlugin] = field(default_factory=list)
    left_out: list[LoadedPlugin] = field(default_factory=list)
    workspace: Workspace = field(default_factory=Workspace.from_environment)
    _manager: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager("mritk"))
    _origins: dict[str, Origin] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for specification in self.specifications:
            self._manager.add_hookspecs(specification)

    @classmethod
    def load(cls, options: Sequence[str] = (), environ: Mapping[str, str] = os.environ) -> Registry:
        """Load installed plugins, those of the environment and those of ``-p`` options.

        Raises:
            Unavailable: A plugin that was asked for by name failed, or any did in strict mode.
        """
        selection = Selection.from_options(options, environ)
        registry = cls(
            strict=selection.strict,
            trace=Trace.from_environment(environ),
            workspace=Workspace.from_environment(environ),
        )
        for origin, reason in selection.left_out():
            registry.left_out.append(LoadedPlugin(origin, left_out=reason))
        for candidate in selection.candidates():
            registry._load_one(candidate)
        return registry

    def _load_one(self, candidate: Candidate) -> None:
        try:
            self.register(candidate.plugin(), candidate.origin)
            self.plugins[-1] = replace(self.plugins[-1], asked=candidate.asked)
        except (Exception, SystemExit) as error:
            reason = str(error) if isinstance(error, HookError) else reason_of(error, "at import")
            loaded = LoadedPlugin(candidate.origin, error=reason, asked=candidate.asked)
            self.plugins.append(loaded)
            if candidate.requested or self.strict:
                raise Unavailable(explain_failure(loaded)) from error

    def register(self, plugin: object, origin: Origin | None = None) -> LoadedPlugin:
        """Add one plugin with all its records, or, if anything about it is wrong, nothing.

        Args:
            plugin: A module, or an object with methods marked ``@hookimpl``.
            origin: Its name and where it comes from; default: the name of the module or class.

        Raises:
            ValueError: Another plugin has its name.
            pluggy.PluginValidationError: It implements an unknown hook or an unknown argument.
            TypeError: It implements no hook.
            HookError: It is for another version of the hooks; or a hook raises, or yields something
                that is not one of its records.
        """
        origin = origin or Origin(getattr(plugin, "__name__", type(plugin).__name__))
        if self._manager.has_plugin(origin.plugin):
            raise ValueError(f"another plugin is already named {origin.plugin!r}")
        require_interface(getattr(plugin, "MRITK_INTERFACE", None))
        self._origins[origin.plugin] = origin
        try:
            self._manager.register(plugin, origin.plugin)
            self._manager.check_pending()
            hooks = tuple(caller.name for caller in self._manager.get_hookcallers(plugin) or ())
            if not hooks:
                raise TypeError("it implements no mritk hook (is @hookimpl missing?)")
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
            hook = f"mritk_{noun}"
            for implementation in self.implementations(hook):
                if implementation.plugin is not plugin:
                    continue
                try:
                    records = self.call(implementation, {})
                except (Exception, SystemExit) as error:
                    raise HookError(reason_of(error, f"in {hook}")) from error
                for record in records or ():
                    if not isinstance(record, kinds):
                        expected = " or ".join(kind.__name__ for kind in kinds)
                        raise HookError(f"TypeError: {hook} yields {expected}, not {record!r}")
                    yield replace(record, origin=origin)

    def origin_of(self, implementation: pluggy.HookImpl) -> Origin:
        """Return which plugin an implementation belongs to."""
        return self._origins[implementation.plugin_name]

    def call(self, implementation: pluggy.HookImpl, given: Mapping[str, Any]) -> Any:
        """Call one implementation of a hook with those of the arguments that it names.

        A generator is read to its end here, so that its exceptions come from this call.
        """
        arguments = {name: given[name] for name in implementation.argnames}
        hook = implementation.function.__name__
        with self.trace.call(hook, self.origin_of(implementation), arguments) as result:
            found = implementation.function(*arguments.values())
            result.append(tuple(found) if isinstance(found, Iterator) else found)
        return result[0]

    @property
    def failures(self) -> tuple[LoadedPlugin, ...]:
        """The plugins that could not be loaded."""
        return tuple(plugin for plugin in self.plugins if plugin.state == "failed")

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
        return sorted(found, key=name_of)

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

    def executor(self, name: str) -> Executor:
        """Return an executor by name."""
        return self._get(Executor, "executor", name)

    def explainer(self, name: str) -> Explainer:
        """Return an explainer by name."""
        return self._get(Explainer, "explainer", name)

    def metric(self, name: str) -> Metric:
        """Return a plugin's metric by name."""
        return self._get(Metric, "metric", name)

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
                    f"metric {metric.name!r} of {metric.origin} is the name of a built-in metric; "
                    f"the plugin must rename it, and '-p no:{metric.origin.plugin}' excludes it"
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
            self._unknown(noun, name, [name_of(record) for record in self.records(kind)])
        return found

    def _only(self, kind: type[R], name: str) -> R | None:
        found = [record for record in self.records(kind) if name_of(record) == name]
        return _single(found, f"{kind.__name__.lower()} {name!r}") if found else None

    def _members(self, kind: type[Family], noun: str, name: str) -> list[Record]:
        prefix, colon, member = name.partition(":")
        found = [family for family in self.records(kind) if colon and family.prefix == prefix]
        if not found:
            return []
        family = _single(found, f"prefix {prefix!r}")
        arguments: list[Any] = [member]
        chosen = ""
        if family.options is not None:
            member, given = split_options(member)
            also = TELLING if isinstance(family, DatasetFamily) else ()
            options = read_options(given, family.options, f"{prefix}:", also)
            arguments = [member, options]
            chosen = options_text(options)
        if family.needs_workspace:
            arguments.append(self.workspace)
        try:
            return [_completed(r, family, chosen) for r in family.resolve(*arguments)]
        except LookupError:
            self._unknown(noun, name, [f"{prefix}:{known}" for known in family.members()])
        except MritkError:
            raise
        except Exception as error:
            reason = reason_of(error, f"hook mritk_{noun}s")
            raise HookError(f"{name} of {family.origin} cannot be resolved: {reason}") from error

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


def _completed(record: Record, family: Family, options: str) -> Record:
    """Return a member with its origin; the name of a dataset tells the options that make it."""
    if isinstance(record, Dataset):
        record = replace(record, name=f"{record.name}{options}")
    return replace(record, origin=family.origin)


def name_of(record: Record) -> str:
    """Return the name of a record, as a person would look it up."""
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
            f"{what} is provided by {providers}; disable one, for instance with '-p no:{first}'"
        )
    return found[0]
