"""Join datasets into one, and rename classes so that they can be joined."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mritk.data.joined_columns import joined_covariates, joined_spacing
from mritk.data.one_name import require_distinct_classes, with_classes
from mritk.data.samples import Samples
from mritk.errors import DataError
from mritk.reading.passed_over import PassedOver
from mritk.reading.spelling import canonical_name
from mritk.tasks.classification import Classification
from mritk.tasks.task import Task, told_apart

logger = logging.getLogger("mritk")

COLUMNS = {
    "patients": "patients",
    "sites": "sites",
    "splits": "official splits",
    "spacing": "spacings",
    "affine": "affines",
    "read_lesion": "lesion masks",
}
KINDS = {2: "images", 3: "volumes", None: "data without a grid"}


def join(named: Sequence[tuple[str, Samples]], name: str) -> Samples:
    """Return the samples of several datasets as one dataset.

    Ids are prefixed by the name of their dataset, ``a/…``; equal names are numbered, ``a#1``.
    Classes are the same if :func:`mritk.reading.spelling.canonical_name` says so; they keep the
    spelling of the first dataset, in order of name. Patients become ``a/…``: a patient of two
    datasets is two patients, as their ids say nothing of each other. Sites (``a/…``) and official
    parts that only some datasets know are unknown for all, with a warning; so are spacings, affines
    and masks of lesions. A covariate that a dataset lacks is NaN or empty for its samples.

    The sources of a dataset that has none are its name.

    Args:
        named: Names and samples.
        name: Name of the joined dataset, for messages.

    Raises:
        DataError: The datasets hold different things: images and volumes, other channels, classes
            and numbers, other classes, or numbers in other units; or only some of them name their
            patients or, of label maps, tell the spacing.
    """
    if not named:
        raise DataError(f"nothing to join in {name}")
    prefixes = distinct([prefix for prefix, _ in named])
    tables = [samples for _, samples in named]
    parts = list(zip(prefixes, tables, strict=True))
    dims = {prefix: KINDS[samples.spatial_dims] for prefix, samples in parts}
    if len(set(dims.values())) > 1:
        raise _unlike(name, dims, "join data of the same kind")
    task, targets = _joined_task(parts, name)
    sources = [samples.sources or [prefix] * len(samples) for prefix, samples in parts]
    places = [(samples, row) for samples in tables for row in range(len(samples))]

    def read(i: int) -> np.ndarray:
        samples, row = places[i]
        return samples.read(row)

    def of_all(name: str) -> Callable[[int], Any] | None:
        """Return an optional function of a sample; None where some datasets have none."""
        functions = [getattr(samples, name) for samples, _ in places]
        return None if None in functions else lambda i: functions[i](places[i][1])

    if task.has_target_maps:
        _require_one_unit(parts, name)
    for column in ("spacing", "affine", "read_lesion"):
        _known_by_all(parts, column, name)
    splits = _column(parts, "splits", name, prefixed=False)
    for part in sorted(set(splits or ())):
        without = [prefix for prefix, samples in parts if part not in (samples.splits or ())]
        if without:
            logger.warning(
                "the official %s set of %s has no samples of %s", part, name, ", ".join(without)
            )
    return Samples(
        ids=[f"{prefix}/{id_}" for prefix, samples in parts for id_ in samples.ids],
        targets=targets,
        task=task,
        read=read,
        spatial_dims=tables[0].spatial_dims,
        digest=of_all("content") if all(samples.digest for samples in tables) else None,
        patients=_column(parts, "patients", name),
        sites=_column(parts, "sites", name),
        sources=[source for column in sources for source in column],
        splits=splits,
        passed_over=[
            PassedOver(found.reason, [f"{prefix}/{file}" for file in found.names])
            for prefix, samples in parts
            for found in samples.passed_over
        ],
        channels=_joined_channels(parts, name),
        read_target=of_all("read_target"),
        spacing=joined_spacing(tables),
        covariates=joined_covariates(tables),
        read_lesion=of_all("read_lesion"),
        affine=of_all("affine"),
        made_from=_joined_origins(parts),
        scans=_joined_scans(parts),
        holes=_joined_holes(places),
    )


def _joined_origins(parts: Sequence[tuple[str, Samples]]) -> list[str] | None:
    """Return what each sample was made from; None if none was made."""
    if all(samples.made_from is None for _, samples in parts):
        return None
    columns = ((prefix, samples.made_from or [""] * len(samples)) for prefix, samples in parts)
    return [f"{prefix}/{of}" if of else "" for prefix, column in columns for of in column]


def _joined_scans(parts: Sequence[tuple[str, Samples]]) -> list[str] | None:
    """Return the scan of each sample; None if each is one."""
    if all(samples.scans is None for _, samples in parts):
        return None
    return [f"{prefix}/{s}" for prefix, samples in parts for s in samples.scans or samples.ids]


def _joined_holes(places: Sequence[tuple[Samples, int]]) -> Callable[[int], float] | None:
    """Return the share of a sample that is no number; None if no dataset knows it."""
    if all(samples.holes is None for samples, _ in places):
        return None

    def holes(i: int) -> float:
        samples, row = places[i]
        return 0.0 if samples.holes is None else samples.holes(row)

    return holes


def rename_classes(samples: Samples, mapping: Mapping[str, str]) -> Samples:
    """Return the samples with other class names, in order of name; equal new names are merged.

    All are renamed at once: ``{"a": "b", "b": "a"}`` exchanges two names.

    Raises:
        DataError: An old name that is no class; fewer than two classes are left; or there are no
            classes.
    """
    if not mapping:
        return samples
    if not samples.task.classes:
        raise DataError(f"{samples.task.kind} has no classes to rename; remove --rename")
    old = samples.task.classes
    unknown = [name for name in mapping if name not in old]
    if unknown:
        raise DataError(f"no class {unknown[0]!r} to rename; the classes are {', '.join(old)}")
    return with_classes(samples, [mapping.get(name, name) for name in old])


def distinct(names: Sequence[str]) -> list[str]:
    """Return the names; those that stand there more than once numbered ``a#1``, ``a#2``."""
    count, seen = Counter(names), Counter[str]()
    found = []
    for name in names:
        seen[name] += 1
        found.append(f"{name}#{seen[name]}" if count[name] > 1 else name)
    return found


def _joined_task(parts: Sequence[tuple[str, Samples]], name: str) -> tuple[Task, np.ndarray]:
    classes = {p: s.task.classes for p, s in parts if s.task.classes}
    if len(classes) == len(parts):
        return _joined_classes(parts, classes, name)
    if len({samples.task.kind for _, samples in parts}) > 1:
        kinds = {prefix: f"a target for {samples.task.kind}" for prefix, samples in parts}
        raise _unlike(name, kinds, "join data of the same task")
    units = {prefix: samples.task.unit or "no unit" for prefix, samples in parts}
    if len(set(units.values())) > 1:
        raise _unlike(name, units, "use the same unit for all targets")
    if any(samples.task != parts[0][1].task for _, samples in parts):
        held = told_apart({prefix: samples.task for prefix, samples in parts})
        raise _unlike(name, held, "join data of the same task")
    return parts[0][1].task, np.concatenate([samples.targets for _, samples in parts])


def _joined_classes(
    parts: Sequence[tuple[str, Samples]], classes: Mapping[str, tuple[str, ...]], name: str
) -> tuple[Task, np.ndarray]:
    for prefix, samples in parts:
        require_distinct_classes(samples, prefix)
    keys = {prefix: [canonical_name(one) for one in own] for prefix, own in classes.items()}
    if len({frozenset(own) for own in keys.values()}) > 1:
        held = {prefix: ", ".join(own) for prefix, own in classes.items()}
        raise DataError(
            f"{name} cannot be joined, because the classes differ: {_each(held)}; rename or merge "
            "classes with --rename OLD=NEW"
        )
    first = parts[0][0]
    shown = dict(zip(keys[first], classes[first], strict=True))
    order = sorted(shown, key=shown.__getitem__)
    numbers = {prefix: np.asarray([order.index(k) for k in own]) for prefix, own in keys.items()}
    targets = [numbers[prefix][samples.targets] for prefix, samples in parts]
    return Classification(tuple(shown[key] for key in order)), np.concatenate(targets)


def _column(
    parts: Sequence[tuple[str, Samples]], column: str, name: str, *, prefixed: bool = True
) -> list[str] | None:
    """Return a column of all datasets; None, with a warning, if only some have it."""
    if not _known_by_all(parts, column, name):
        return None
    return [
        f"{prefix}/{value}" if prefixed and value else value
        for prefix, samples in parts
        for value in getattr(samples, column)
    ]


def _known_by_all(parts: Sequence[tuple[str, Samples]], column: str, name: str) -> bool:
    """Return whether all datasets have a column; warn if only some do."""
    without = [prefix for prefix, samples in parts if getattr(samples, column) is None]
    if 0 < len(without) < len(parts):
        if column == "patients":
            raise DataError(
                f"{', '.join(without)} has no patient ids, the rest of {name} does; patients "
                "could be split. Specify them by --patient-regex, or by a manifest with a column "
                "patient (manifest:FILE.csv)"
            )
        logger.warning(
            "%s has no %s, so they are treated as unknown in all of %s",
            *(", ".join(without), COLUMNS[column], name),
        )
    return not without


def _require_one_unit(parts: Sequence[tuple[str, Samples]], name: str) -> None:
    """Refuse label maps of which only some have a spacing: distances would be of voxels in all."""
    held = {p: "no spacing" if s.spacing is None else "a spacing in mm" for p, s in parts}
    if len(set(held.values())) > 1:
        raise _unlike(name, held, "label maps are measured in mm: state it for all, or join fewer")


def _joined_channels(parts: Sequence[tuple[str, Samples]], name: str) -> tuple[str, ...]:
    held = {prefix: ", ".join(samples.channels) or "no channels" for prefix, samples in parts}
    if len({samples.channels for _, samples in parts}) > 1:
        raise _unlike(name, held, "join data with the same channels, in the same order")
    return parts[0][1].channels


def _unlike(name: str, held: Mapping[str, str], remedy: str) -> DataError:
    return DataError(f"{name} cannot be joined: {_each(held)}; {remedy}")


def _each(held: Mapping[str, str]) -> str:
    return "; ".join(f"{prefix} has {what}" for prefix, what in held.items())
