"""A benchmark: the matrix of what is compared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from shlex import quote
from typing import Any

from mritk.errors import ProtocolError, Unavailable, UsageError
from mritk.files.user_path import user_path
from mritk.plugins.registry import Registry
from mritk.protocol.protocol import Protocol, read_protocol
from mritk.protocol.tomltext import TomlText
from mritk.protocol.variation import Changes, variations
from mritk.records import BenchmarkFile
from mritk.study.data_options import DataOptions
from mritk.text.listed import listed

# What ``mritk run`` compares where nothing else is named.
USUAL = "quickstart"
SEEDS = 2**63  # a trial file holds numbers below it
# Options of the command line that are keys of a file, too.
TELLS_PATIENTS = re.compile("--(patient-regex|patients|no-patient-ids)(?= )")


def find_protocol(name: str, registry: Registry, changes: Changes | None = None) -> Protocol:
    """Return the protocol of that name, or the one in the file of that name (``FILE.toml``).

    ``changes`` are values in place of its own, by dotted key.

    Raises:
        UnknownName: Nobody provides it, or its method.
        ProtocolError: The text has an unknown key or a value of the wrong type.
        Unavailable: The file does not exist.
    """
    if not name.endswith(".toml"):
        source = TomlText(registry.protocol(name).text(), f"protocol {name}")
        return read_protocol(name, source, registry.method, changes)
    path = user_path(name)
    if not path.is_file():
        raise Unavailable(
            f"no protocol file {name}; 'mritk list protocols' lists built-in ones; to create a "
            f"template: mritk show quick --toml > {quote(name)}"
        )
    source = TomlText.of_file(path)
    return read_protocol(path.stem, source, registry.method, changes)


@dataclass(frozen=True)
class Benchmark:
    """What is compared: every combination of these is trained once.

    Backbones, datasets and protocols that are left open are those of the benchmark ``quickstart``
    (:meth:`completed`).

    Attributes:
        backbones: Names.
        datasets: Names.
        protocols: Names or paths of TOML files.
        augmentations: Names; empty: what each protocol names.
        seeds: Seeds of the trials, from 0 to 2**63 - 1.
        folds: Fold numbers; empty: all folds of the protocol's split.
        data: What is said about the datasets: patients, names of classes.
        vary: Keys of the protocols and the values that each of them is tried with, as in
            :func:`mritk.protocol.variation.variations`.
        rehearse: Try it at small scale: :mod:`mritk.study.rehearsal`, the first seed and fold.
    """

    backbones: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    augmentations: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1)
    folds: tuple[int, ...] = ()
    data: DataOptions = field(default_factory=DataOptions)
    vary: Mapping[str, Any] = field(default_factory=dict)
    rehearse: bool = False

    @classmethod
    def from_text(cls, source: TomlText) -> Benchmark:
        """Read a benchmark from a TOML text whose keys are the attributes of this class.

        Raises:
            ProtocolError: It has an unknown key, a value of the wrong type, no seed, a seed that a
                trial file cannot hold, or tells patients in a wrong way, or in two.
        """
        try:
            benchmark = source.into(cls, source.parse())
        except ProtocolError:
            raise
        except UsageError as error:  # it speaks of options of the command line
            message = TELLS_PATIENTS.sub(lambda found: found[1].replace("-", "_"), str(error))
            raise source.error(("data",), message, (message.partition(" ")[0],)) from error
        if not benchmark.seeds:
            raise source.error(("seeds",), "it is empty, so nothing would be trained; name a seed")
        for position, seed in enumerate(benchmark.seeds):
            if not 0 <= seed < SEEDS:
                message = f"a seed is a whole number from 0 to 2**63 - 1 (it is {seed})"
                raise source.error(("seeds", position), message)
        return benchmark

    @classmethod
    def named(cls, name: str, registry: Registry) -> Benchmark:
        """Return the benchmark of a plugin, or the one in the file of that name.

        Raises:
            Unavailable: There is neither.
            ProtocolError: It has an unknown key or a value of the wrong type.
        """
        if any(record.name == name for record in registry.records(BenchmarkFile)):
            return cls.from_text(TomlText(registry.benchmark(name).text(), f"benchmark {name}"))
        return cls.from_file(Path(name))

    @classmethod
    def from_file(cls, path: Path) -> Benchmark:
        """Read a benchmark from a TOML file, see :meth:`from_text`.

        Protocol files and the table of patients are looked up beside the benchmark file.

        Raises:
            Unavailable: There is no such file.
            ProtocolError: It has an unknown key or a value of the wrong type.
        """
        if not path.is_file():
            raise Unavailable(f"no benchmark file {path}")
        benchmark = cls.from_text(TomlText.of_file(path))
        beside = tuple(
            str(path.parent / user_path(name)) if name.endswith(".toml") else name
            for name in benchmark.protocols
        )
        data = benchmark.data
        if data.patients:
            data = replace(data, patients=str(path.parent / user_path(data.patients)))
        return replace(benchmark, protocols=beside, data=data)

    def recipes(self) -> list[tuple[str, Changes]]:
        """Return each protocol by name, with each of the changes that it is tried with."""
        return list(product(self.protocols, variations(self.vary)))

    def completed(self, registry: Registry) -> Benchmark:
        """Return the benchmark with what it leaves open as in the one called ``quickstart``.

        Backbones stay open where no method takes one.

        Raises:
            UnknownName, ProtocolError, Unavailable: See :func:`find_protocol`.
        """
        if not any(record.name == USUAL for record in registry.records(BenchmarkFile)):
            return self
        usual = Benchmark.named(USUAL, registry)
        datasets = self.datasets or usual.datasets
        found = replace(self, datasets=datasets, protocols=self.protocols or usual.protocols)
        if found.backbones or not found.takes_backbones(registry):
            return found
        return replace(found, backbones=usual.backbones)

    def using(
        self, backbones: Sequence[str], registry: Registry, *, deterministic: bool = False
    ) -> Benchmark:
        """Return the benchmark, if all that was asked for has an effect.

        Args:
            backbones: Those that were asked for.
            registry: Knows the methods.
            deterministic: Whether every protocol will be made deterministic.

        Raises:
            UsageError: There are backbones, and no method takes one; or a key is varied whose
                values are replaced.
        """
        named = f"augmentations are named ({listed(self.augmentations)})"
        for key, is_replaced, why in (
            ("augmentation", self.augmentations, named),
            ("deterministic", deterministic, "--deterministic applies to every protocol"),
        ):
            if is_replaced and key in self.vary:
                raise UsageError(
                    f"{why}, so --vary {key} would change nothing; remove one of the two"
                )
        if backbones and not self.takes_backbones(registry):
            raise UsageError(
                f"no backbone is used by {listed(self.protocols)}, so "
                f"{listed([f'--backbone {name}' for name in backbones])} would change nothing; "
                "remove it, or use another protocol"
            )
        return self

    def takes_backbones(self, registry: Registry) -> bool:
        """Return whether the method of any protocol takes a backbone."""
        methods = {find_protocol(name, registry, new).method for name, new in self.recipes()}
        return any(registry.method(name).uses_backbone for name in methods)
