"""The registry: what all loaded plugins provide, looked up by name and explained when absent.

A registry is an ordinary object with its own pluggy manager; nothing is global.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, NoReturn, TypeVar

from mritk.backbone import FILE_PREFIX, SCRATCH, Backbone, split_name, weights_from_file
from mritk.errors import CacheError, DuplicateName, HookError, MritkError, UnknownName, UsageError
from mritk.evaluate.metric import Metric
from mritk.files.remedy import refusal_of_disk
from mritk.files.user_path import user_path
from mritk.method import Method
from mritk.plugins.loaded import reason_of
from mritk.plugins.loading import CORE, LoadedPlugins, name_of
from mritk.plugins.options import (
    READ_BY_RUN,
    TELLING,
    meant,
    options_text,
    read_options,
    split_options,
    split_wrapped,
)
from mritk.records import (
    Alias,
    Architecture,
    Augmentation,
    BackboneFamily,
    BenchmarkFile,
    Dataset,
    DatasetFamily,
    Executor,
    ExecutorFamily,
    Explainer,
    Family,
    ProtocolFile,
    Record,
    Weights,
)

R = TypeVar("R", bound=Record)
F = TypeVar("F", bound=Family)


class Registry(LoadedPlugins):
    """Everything the loaded plugins provide, by name."""

    # -- listing -------------------------------------------------------------------------------

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
        return self._dataset(name, ())

    def _dataset(self, name: str, outer: Sequence[str]) -> Dataset:
        """Return a dataset; ``outer`` are the options of the families that wrap it, to be told."""
        if (found := self._only(Dataset, name)) is not None:
            return found
        family = self._family(DatasetFamily, name)
        self._require_path(family, name)
        if family is not None and family.wraps:
            return self._wrapped_dataset(family, name, outer)
        also = (*outer, *TELLING)
        members = self._members(DatasetFamily, "dataset", name, also)
        found = next((record for record in members if isinstance(record, Dataset)), None)
        if found is None:
            member, given = split_options(name)
            if given and self._only(Dataset, member) is not None:
                option = next(iter(given))
                if option in TELLING:
                    raise UnknownName(f"dataset {member} has no option {option!r}: {READ_BY_RUN}")
                raise UnknownName(
                    f"dataset {member} has no option {option!r}; {meant(option, also)}behind its "
                    f"name may stand {', '.join(also)}"
                )
            self._unknown("dataset", member, [dataset.name for dataset in self.records(Dataset)])
        return found

    def _require_path(self, family: DatasetFamily | None, name: str) -> None:
        """Refuse a prefix alone: ``folder:$UNSET`` must not mean the current folder."""
        bare = name.partition(",")[0].strip().removesuffix(":")
        reading = [one for one in self.records(DatasetFamily) if one.reads is not None]
        asked = next((one for one in reading if one.prefix == bare), None)
        if asked is not None and family in (asked, None):
            raise UnknownName(f"{name} has no path; write {asked.opening}PATH")

    def dataset_options(self, name: str) -> tuple[str, ...]:
        """Return which options the family of a dataset has; none if it belongs to no family."""
        family = self._family(DatasetFamily, name)
        if family is None:
            return ()
        own = _option_names(family)
        if not family.wraps:
            return own
        return (*own, *self.dataset_options(family.member_of(name) or ""))

    def _wrapped_dataset(self, family: DatasetFamily, name: str, outer: Sequence[str]) -> Dataset:
        """Return what a family makes of the dataset that ``name`` has behind the prefix."""
        member, given = split_options(family.member_of(name) or "")
        known = _option_names(family)
        others = "".join(f",{key}={value}" for key, value in given.items() if key not in known)
        inner = self._dataset(member + others, (*known, *outer))
        own = {key: value for key, value in given.items() if key in known}
        made, chosen = self._made_around(family, "dataset", name, inner, own)
        found = next((record for record in made if isinstance(record, Dataset)), None)
        if found is None:
            raise HookError(f"{name} of {family.origin}: resolve must return a dataset")
        called = f"{family.opening}{inner.name}{chosen}"
        return replace(found, name=called, inner=inner, origin=family.origin)

    def augmentation(self, name: str) -> Augmentation:
        """Return an augmentation by name."""
        return self._get(Augmentation, "augmentation", name)

    def method(self, name: str) -> Method:
        """Return a method by name."""
        return self._get(Method, "method", name)

    def protocol(self, name: str) -> ProtocolFile:
        """Return a protocol by name."""
        return self._get(ProtocolFile, "protocol", name)

    def benchmark(self, name: str) -> BenchmarkFile:
        """Return a benchmark by name."""
        return self._get(BenchmarkFile, "benchmark", name)

    def executor(self, name: str) -> Executor:
        """Return an executor by name or ``PREFIX:MEMBER``."""
        if (found := self._only(Executor, name)) is not None:
            return found
        members = self._members(ExecutorFamily, "executor", name)
        found = next((record for record in members if isinstance(record, Executor)), None)
        return found or self._get(Executor, "executor", name)

    def explainer(self, name: str) -> Explainer:
        """Return an explainer by name."""
        return self._get(Explainer, "explainer", name)

    def metric(self, name: str) -> Metric:
        """Return a plugin's metric by name."""
        return self._get(Metric, "metric", name)

    def metrics(self) -> list[Metric]:
        """Return the metrics of plugins; one that fails raises ``HookError`` with its plugin.

        Raises:
            DuplicateName: Two plugins, or a plugin and mritk, have one of the same name.
        """
        from mritk.evaluate.metrics import all_metrics
        from mritk.plugins.guarded_metric import guarded_metric

        found, own = self.records(Metric), all_metrics()
        for metric in found:
            if metric.name in own:
                raise DuplicateName(
                    f"metric {metric.name!r} of {metric.origin} is the name of a built-in metric; "
                    f"the plugin must rename it, and '-p no:{metric.origin.plugin}' excludes it"
                )
            _single([m for m in found if m.name == metric.name], f"metric {metric.name!r}")
        return [guarded_metric(metric) for metric in found]

    def backbone(self, name: str, *, files: bool = True) -> Backbone:
        """Return the backbone ``ARCH``, ``ARCH@WEIGHTS``, ``PREFIX:NAME@WEIGHTS`` or an alias.

        Args:
            name: See above.
            files: Whether the PATH of ``ARCH@file:PATH`` must exist; else that is ``ARCH@scratch``.

        Raises:
            UnknownName: Nobody provides the architecture, or the weights for it.
            DuplicateName: Two plugins do.
            NotSupplied: There is no such file.
        """
        alias = self._only(Alias, name)
        target = alias.target if alias else name
        architecture_name, weights_name = split_name(target)
        architecture = self._only(Architecture, architecture_name)
        offered = [w for w in self.records(Weights) if w.architecture == architecture_name]
        family = None if architecture else self._family(BackboneFamily, target)
        if family is not None and family.wraps:
            return self._wrapped(family, target, files)
        if architecture is None:
            members = self._members(BackboneFamily, "backbone", architecture_name)
            architecture = next((r for r in members if isinstance(r, Architecture)), None)
            if architecture is None:
                plain = weights_name is None
                self._unknown(
                    "backbone", name, self._plain_names() if plain else self.backbone_names()
                )
            offered += [r for r in members if isinstance(r, Weights)]
        if weights_name is None:
            weights_name = architecture.default_weights
        return Backbone(architecture, self._weights(architecture, weights_name, offered, files))

    def _made_around(
        self, family: Family, noun: str, name: str, inner: object, given: dict[str, str]
    ) -> tuple[Sequence[Record], str]:
        """Return what a family makes of another record, and its options as text."""
        if family.schema is None:
            return self._resolve(family, noun, name, [inner]), ""
        options = read_options(given, family.schema, family.opening)
        return self._resolve(family, noun, name, [inner, options]), options_text(options)

    def _wrapped(self, family: BackboneFamily, name: str, files: bool) -> Backbone:
        """Return what a family makes of the backbone that ``name`` has behind the prefix."""
        inner_name, given = split_wrapped(family.member_of(name) or "")
        inner = self.backbone(inner_name, files=files)
        if given and family.schema is None:
            raise UsageError(f"{family.opening} has no options, but {name} has {', '.join(given)}")
        made, chosen = self._made_around(family, "backbone", name, inner, given)
        architecture = next((r for r in made if isinstance(r, Architecture)), None)
        weights = next((r for r in made if isinstance(r, Weights)), None)
        if architecture is None or (weights is None) != (inner.weights is None):
            lacks = "an architecture" if architecture is None else "weights if the inner one has"
            raise HookError(f"{name} of {family.origin}: resolve must return {lacks}")
        own = f"{family.opening}{inner.architecture.name}{chosen}"
        usual = inner.architecture.default_weights
        architecture = replace(architecture, name=own, default_weights=usual, origin=family.origin)
        if weights is not None and inner.weights is not None:
            weights = replace(
                weights, architecture=own, name=inner.weights.name, origin=inner.weights.origin
            )
        return Backbone(architecture, weights, inner)

    def _weights(
        self, architecture: Architecture, name: str, offered: Sequence[Weights], files: bool
    ) -> Weights | None:
        if name == SCRATCH or (name.startswith(FILE_PREFIX) and not files):
            return None
        if name.startswith(FILE_PREFIX):
            path = user_path(name.removeprefix(FILE_PREFIX))
            return weights_from_file(architecture, path)
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

    def _members(
        self, kind: type[Family], noun: str, name: str, also: Sequence[str] = ()
    ) -> list[Record]:
        family = self._family(kind, name)
        if family is None:
            return []
        member = family.member_of(name) or ""
        arguments: list[Any] = [member]
        chosen = ""
        if family.schema is not None:
            member, given = split_options(member)
            options = read_options(given, family.schema, family.opening, also)
            arguments = [member, options]
            chosen = options_text(options)
        if family.needs_workspace:
            arguments.append(self.workspace)
        found = self._resolve(family, noun, name, arguments)
        return [_completed(record, family, chosen) for record in found]

    def _family(self, kind: type[F], name: str) -> F | None:
        found = [family for family in self.records(kind) if family.member_of(name) is not None]
        return _single(found, f"prefix {found[0].prefix!r}") if found else None

    def _resolve(
        self, family: Family, noun: str, name: str, arguments: Sequence[Any]
    ) -> list[Record]:
        try:
            return list(family.resolve(*arguments))
        except LookupError:
            self._unknown(noun, name, [f"{family.opening}{known}" for known in family.members()])
        except MritkError:
            raise
        except (Exception, SystemExit) as error:
            if refusal := refusal_of_disk(error, name, self.workspace.home):
                raise CacheError(refusal) from error
            reason = reason_of(error, f"hook mritk_{noun}s")
            raise HookError(f"{name} of {family.origin} cannot be resolved: {reason}") from error

    def _unknown(
        self, noun: str, name: str, names: Sequence[str], *, show_all: bool = False
    ) -> NoReturn:
        import difflib

        near = list(names) if show_all else difflib.get_close_matches(name, names, 3, 0.5)
        text = f"unknown {noun} {name!r}"
        if near:
            either = " or ".join(near)
            text += f"; there is {either}" if show_all else f"; did you mean {either}?"
        text += f" ('mritk list {noun}s' lists all)"
        if self.failures:
            failed = ", ".join(str(plugin.origin) for plugin in self.failures)
            text += f"; these plugins failed to load and may provide it: {failed}"
        raise UnknownName(text)


def _option_names(family: Family) -> tuple[str, ...]:
    return () if family.schema is None else tuple(option.name for option in fields(family.schema))


def _completed(record: Record, family: Family, options: str) -> Record:
    """Return a member with its origin; the name of a dataset tells the options that make it."""
    if isinstance(record, Dataset):
        record = replace(record, name=f"{record.name}{options}")
    return replace(record, origin=family.origin)


def _single(found: Sequence[R], what: str) -> R:
    if len(found) > 1 and len({record.origin for record in found}) == 1:
        raise DuplicateName(f"{found[0].origin} provides {what} twice; rename one of the two in it")
    if len(found) > 1:
        providers = " and ".join(str(record.origin) for record in found)
        first = next(record.origin.plugin for record in found if record.origin != CORE)
        raise DuplicateName(
            f"{what} is provided by {providers}; disable one, for instance with '-p no:{first}'"
        )
    return found[0]
