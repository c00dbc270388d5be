"""Load plugins one by one: all that a plugin gives, or nothing of it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

import mritk
from mritk import records
from mritk.errors import HookError, Unavailable, one_line
from mritk.evaluate.metric import Metric
from mritk.files.workspace import Workspace
from mritk.machine.usual_state import undisturbed
from mritk.method import Method
from mritk.plugins import hookspecs
from mritk.plugins.discovery import Candidate, Selection
from mritk.plugins.loaded import LoadedPlugin, explain_failure, place_of_function, reason_of
from mritk.plugins.trace import Trace
from mritk.records import Augmentation, Family, Origin, Record, Weights

if TYPE_CHECKING:
    from typing_extensions import Self

# What each hook may yield, by the plural noun that names it on the command line.
NOUNS: Mapping[str, tuple[type[Record], ...]] = {
    "backbones": (records.Architecture, Weights, records.Alias, records.BackboneFamily),
    "datasets": (records.Dataset, records.DatasetFamily),
    "augmentations": (Augmentation,),
    "methods": (Method,),
    "protocols": (records.ProtocolFile,),
    "benchmarks": (records.BenchmarkFile,),
    "metrics": (Metric,),
    "executors": (records.Executor, records.ExecutorFamily),
    "explainers": (records.Explainer,),
}

# What the core itself provides: there is one whichever plugins are loaded.
CORE = Origin("mritk", "mritk-bench", mritk.__version__)
OWN = (Augmentation("none", None, spatial_dims=(2, 3), summary="identity", origin=CORE),)

# What pluggy takes for a hook if it is marked, and where its marker leaves that.
MARKED, MARK = (FunctionType, MethodType, classmethod, staticmethod), "mritk_impl"

R = TypeVar("R", bound=Record)


class _Manager(pluggy.PluginManager):
    """Looks in modules at functions alone: pluggy takes 10 µs for each of hundreds of names."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        is_module = isinstance(plugin, ModuleType)
        member = vars(plugin).get(name) if is_module else inspect.getattr_static(plugin, name, None)
        options = None
        # Its type is asked: a module that is loaded when it is used would load for isinstance.
        if not is_module or issubclass(type(member), MARKED):
            options = super().parse_hookimpl_opts(plugin, name)
        if options is not None and hasattr(getattr(plugin, name), "__name__"):
            return options
        if options is not None or _is_marked(member):  # pluggy 1.7 passes over some in silence
            kind = type(member).__name__
            raise HookError(f"{name} is marked @hookimpl, but is no function: {kind}; write one")
        return None


def _is_marked(member: Any) -> bool:
    """Whether a member holds the mark itself: a mock has whatever attribute it is asked for."""
    if issubclass(type(member), (classmethod, staticmethod)):
        member = member.__func__
    try:
        return MARK in object.__getattribute__(member, "__dict__")
    except (AttributeError, TypeError):
        return False


@dataclass(eq=False)
class LoadedPlugins:
    """The plugins that were loaded, and all records that they gave.

    Made by :meth:`load`; tests add plugins with :meth:`register`.

    Attributes:
        strict: Whether a plugin that fails to load is an error.
        specifications: Where the hooks are declared.
        trace: Told of every call of a hook.
        environ: What the environment says, of the workspace for instance.
        plugins: Those that were loaded, and those that failed.
        left_out: Installed plugins that were not to be loaded.
    """

    strict: bool = False
    specifications: tuple[ModuleType | type, ...] = (hookspecs,)
    trace: Trace = field(default_factory=Trace)
    plugins: list[LoadedPlugin] = field(default_factory=list)
    left_out: list[LoadedPlugin] = field(default_factory=list)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _manager: pluggy.PluginManager = field(default_factory=lambda: _Manager("mritk"))
    _origins: dict[str, Origin] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for specification in self.specifications:
            self._manager.add_hookspecs(specification)

    @classmethod
    def load(cls, options: Sequence[str] = (), environ: Mapping[str, str] = os.environ) -> Self:
        """Load installed plugins, those of the environment and those of ``-p`` options.

        Raises:
            Unavailable: A plugin that was asked for by name failed, or any did in strict mode.
        """
        selection = Selection.from_options(options, environ)
        registry = cls(
            strict=selection.strict,
            trace=Trace.from_environment(environ),
            environ=environ,
        )
        for origin, reason in selection.left_out():
            registry.left_out.append(LoadedPlugin(origin, left_out=reason))
        for candidate in selection.candidates():
            registry._load_one(candidate)
        return registry

    @cached_property
    def workspace(self) -> Workspace:
        """What families see of this machine when they are asked for a member; may be replaced."""
        return Workspace.from_environment(self.environ)

    def _load_one(self, candidate: Candidate) -> None:
        try:
            with undisturbed():
                self.register(candidate.plugin(), candidate.origin)
            self.plugins[-1] = replace(self.plugins[-1], asked=candidate.asked)
        except (Exception, SystemExit) as error:
            is_whole = isinstance(error, (HookError, pluggy.PluginValidationError))
            reason = one_line(error) if is_whole else reason_of(error, "at import")
            if isinstance(candidate.load, Path):
                from mritk.plugins.neighbour import neighbour_hint

                cause = error.__cause__ if isinstance(error, HookError) else error
                reason += neighbour_hint(cause, candidate.load)
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
            ValueError: Another plugin has its name, or it has another name already.
            pluggy.PluginValidationError: It implements an unknown hook or an unknown argument.
            TypeError: It implements no hook.
            HookError: It is for another version of the hooks; or a hook raises, or yields something
                that is not one of its records.
        """
        origin = origin or Origin(getattr(plugin, "__name__", type(plugin).__name__))
        if self._manager.has_plugin(origin.plugin):
            raise ValueError(f"another plugin is already named {origin.plugin!r}")
        if known := self._manager.get_name(plugin):
            raise ValueError(f"plugin {origin.plugin!r} is already loaded as {known!r}")
        hookspecs.require_interface(getattr(plugin, "MRITK_INTERFACE", None))
        self._origins[origin.plugin] = origin
        try:
            self._admit(plugin, origin)
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

    def _admit(self, plugin: object, origin: Origin) -> None:
        """Have pluggy take the hooks of a plugin, or say what is wrong with them."""
        try:
            self._manager.register(plugin, origin.plugin)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            from mritk.plugins.misfit import misfit_of

            said = misfit_of(plugin, self._manager) or str(error)
            raise pluggy.PluginValidationError(plugin, said) from error

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
                place = place_of_function(implementation.function)
                if records is not None and not isinstance(records, Iterable):
                    raise HookError(
                        f"TypeError: {hook} returns {type(records).__name__}, not several records "
                        f"({place}); write 'yield' instead of 'return'"
                    )
                for record in records or ():
                    if not isinstance(record, kinds):
                        expected = " or ".join(kind.__name__ for kind in kinds)
                        what = type(record).__name__
                        found = what if isinstance(record, Record) else repr(record)
                        raise HookError(
                            f"TypeError: {hook} yields {expected}, not {found} ({place})"
                        )
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

    def records(self, kind: type[R]) -> list[R]:
        """Return all records of a kind, sorted by name."""
        given = (*OWN, *(record for plugin in self.plugins for record in plugin.records))
        return sorted((record for record in given if isinstance(record, kind)), key=name_of)


def name_of(record: Record) -> str:
    """Return the name of a record, as a person would look it up."""
    if isinstance(record, Weights):
        return f"{record.architecture}@{record.name}"
    if isinstance(record, Family):
        return record.prefix
    return str(getattr(record, "name"))  # noqa: B009 - every other record has one
