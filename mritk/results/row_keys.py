"""What makes a row of a table, and what the row is called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from mritk.errors import UsageError
from mritk.results.cost import COLUMNS
from mritk.results.table import Table, row_name
from mritk.results.table_trial import TableTrial
from mritk.results.trial_facts import TrialFacts
from mritk.text.natural_order import natural

# Trials that differ in one of these are never ranked against each other.
NEVER_RANKED_ACROSS = ("dataset", "dataset_fingerprint", "scheme", "evaluation")
GROUPINGS = ("dataset", "protocol", "backbone", "augmentation", "method", "fold", "seed")
ROWS = ("backbone", "augmentation", "protocol", "method")
# What else is told of a table, of its rows or differences, in any format.
OTHERS = """
    task sorted_by level test_samples clean_test_samples clean_support patients notes rows groups
    detectable_difference comparisons tie trials failed marks ranked fingerprint table test metric
    rope pairs worse equal better datasets ranks chi_squared p_chi_squared f p critical_difference
    left_out
"""
TOLD = {*NEVER_RANKED_ACROSS, *GROUPINGS, *(column.name for column in COLUMNS), *OTHERS.split()}
DIGITS = 8  # of a fingerprint, unless more are needed
# A name may stand for several recipes.
CONTENT_OF = {"protocol": ("protocol", "fingerprint")}
# The augmentation, unless each protocol was trained with a single one, which belongs to it then.
NOT_ITS_OWN = "augmentation, if not the protocol's own"


def group_key(by: str) -> str:
    """Return under which name tables, CSV and JSON tell the group of their test samples.

    It is what they are grouped by, unless something else that is told has that name.
    """
    return f"group by {by}" if by in TOLD else by


def table_keys(group_by: Sequence[str]) -> list[str]:
    """Return the facts of which each combination makes a table.

    Args:
        group_by: One table for each value of these, of :data:`GROUPINGS`.

    Raises:
        UsageError: A name is none of those.
    """
    _require(group_by, (*GROUPINGS, NOT_ITS_OWN), "group by")
    asked = [key for name in group_by for key in CONTENT_OF.get(name, (name,))]
    return list(dict.fromkeys((*NEVER_RANKED_ACROSS, *asked)))


def all_but(rows: Sequence[str]) -> list[str]:
    """Return what tables must be grouped by, so that rows differ in nothing but these.

    Args:
        rows: Of :data:`ROWS`; empty: whatever differs. A method is a part of its protocol, so that
            rows by method are rows by protocol; and so is an augmentation, if it is the only one
            that a protocol was trained with.

    Raises:
        UsageError: A name is none of those.
    """
    _require(rows, ROWS, "make rows of")
    if not rows:
        return []
    left = [name for name in ("backbone", "augmentation") if name not in rows]
    if not {"protocol", "method"} & set(rows):
        return [*left, "protocol"]
    return [NOT_ITS_OWN if name == "augmentation" else name for name in left]


def _require(names: Sequence[str], known: Sequence[str], what: str) -> None:
    for name in names:
        if name not in known:
            shown = ", ".join(one for one in known if one != NOT_ITS_OWN)
            raise UsageError(f"cannot {what} {name!r}; available: {shown}")


def divided(
    trials: Iterable[tuple[str, TableTrial]], keys: Sequence[str], by: str = ""
) -> list[tuple[dict[str, str], list[TableTrial]]]:
    """Return what the trials of each table share, and the trials.

    Args:
        trials: Each with the group of test samples that it stands for; of one that failed, none is
            known, so it is told with all groups of the others.
        keys: Of :func:`table_keys`.
        by: What test samples are grouped by; empty: by nothing.
    """
    names = [key for key in keys if key != NOT_ITS_OWN]
    found: dict[tuple[str, ...], dict[str, list[TableTrial]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for part, trial in trials:
        found[tuple(getattr(trial.facts, name) for name in names)][part].append(trial)
    tables = []
    for values, parts in found.items():
        failed = parts.pop("", []) if len(parts) > 1 else []
        for part, members in parts.items():
            named = dict(zip(names, values, strict=True)) | ({group_key(by): part} if by else {})
            table = named, [*members, *failed]
            tables += _by_augmentation(*table) if NOT_ITS_OWN in keys else [table]
    return tables


def _by_augmentation(
    named: dict[str, str], trials: Sequence[TableTrial]
) -> list[tuple[dict[str, str], list[TableTrial]]]:
    """Divide trials by augmentation, unless each of their protocols has its own."""
    of_protocol: dict[str, set[str]] = defaultdict(set)
    found: dict[str, list[TableTrial]] = defaultdict(list)
    for trial in trials:
        of_protocol[trial.facts.fingerprint].add(trial.facts.augmentation)
        found[trial.facts.augmentation].append(trial)
    if len(found) > 1 and all(len(augmentations) == 1 for augmentations in of_protocol.values()):
        return [(named, list(trials))]
    return [({**named, "augmentation": name}, members) for name, members in found.items()]


def named_rows(trials: Iterable[TableTrial]) -> dict[str, list[TableTrial]]:
    """Return the trials of each row of a table by its name, in order of seeds and folds."""
    grouped: dict[tuple[str, ...], list[TableTrial]] = defaultdict(list)
    for trial in sorted(trials, key=lambda trial: (trial.facts.seed, trial.facts.fold)):
        facts = trial.facts
        grouped[facts.backbone, facts.augmentation, facts.fingerprint].append(trial)
    called = protocol_names(trial.facts for found in grouped.values() for trial in found)
    augmented = len({augmentation for _, augmentation, _ in grouped}) > 1
    rows = {}
    for (backbone, augmentation, fingerprint), found in grouped.items():
        name = row_name(backbone, augmentation) if augmented else backbone
        rows[f"{name}, {called[fingerprint]}" if len(called) > 1 else name] = found
    return rows


def protocol_names(trials: Iterable[TrialFacts]) -> dict[str, str]:
    """Return the name of each protocol by fingerprint; where two are called alike, with its digits.

    Of several names of one recipe, the first is taken. No two names are alike, so that no row hides
    another: digits are as many as that takes.
    """
    found: dict[str, str] = {}
    for facts in trials:
        found.setdefault(facts.fingerprint, facts.protocol)
    names = list(found.values())
    alike = [fingerprint for fingerprint, name in found.items() if names.count(name) > 1]
    longest = max(map(len, alike), default=DIGITS)
    shown = next(
        (n for n in range(DIGITS, longest) if len({text[:n] for text in alike}) == len(alike)),
        longest,
    )
    return {
        fingerprint: f"{name} ({fingerprint[:shown]})" if fingerprint in alike else name
        for fingerprint, name in found.items()
    }


def shared_protocol(names: Mapping[str, str]) -> dict[str, str]:
    """Return name and fingerprint of the protocol of a table; of several: all names, and none."""
    if len(names) == 1:
        ((fingerprint, name),) = names.items()
        return {"protocol": name, "fingerprint": fingerprint}
    return {"protocol": ", ".join(sorted(names.values(), key=natural)), "fingerprint": ""}


def named_alike(tables: Iterable[Table]) -> str:
    """Return which row has another augmentation in another table, where each has only one; or
    nothing."""
    found: dict[str, set[str]] = defaultdict(set)
    for table in tables:
        for row in table.rows:
            if row.trials:
                found[row.name].add(row.keys["augmentation"])
    for name, augmentations in found.items():
        if len(augmentations) > 1:
            one, other, *_ = sorted(augmentations)
            return f"{name} has augmentation {one} in some tables and {other} in others"
    return ""
